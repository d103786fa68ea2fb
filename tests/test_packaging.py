"""The one list of packages: whatever is a package here is checked, and is in the wheel."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from minilm.runtime.native.build import LIBRARY_NAME

from benchmarks.harness.environments import package_folders

ROOT = Path(__file__).resolve().parent.parent
NOT_SHIPPED = ("tests", "benchmarks", "examples", "build", "dist")


@pytest.fixture(scope="module")
def tools() -> dict[str, Any]:
    """The section `tool` of pyproject.toml."""
    tools: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    return tools


def package_directories() -> list[Path]:
    found = (path.parent.relative_to(ROOT) for path in ROOT.glob("[!.]*/**/__init__.py"))
    return sorted(path for path in found if path.parts[0] not in NOT_SHIPPED)


def test_every_package_is_listed_once(tools: dict[str, Any]) -> None:
    listed = tools["setuptools"]["packages"]
    assert sorted(listed) == [".".join(("minilm", *path.parts)) for path in package_directories()]


def test_every_package_says_that_it_is_typed() -> None:
    assert [
        path for path in package_directories() if not (ROOT / path / "py.typed").is_file()
    ] == []


def test_import_contracts_cover_every_package(tools: dict[str, Any]) -> None:
    expected = {f"minilm.{name}" for name in package_folders()}
    contracts = {
        contract["type"]: contract
        for contract in tools["importlinter"]["contracts"]
        if "containers" not in contract  # one room's own layers
    }
    layers = {name.strip() for line in contracts["layers"]["layers"] for name in line.split("|")}
    assert set(tools["importlinter"]["root_packages"]) == expected
    assert set(contracts["acyclic_siblings"]["ancestors"]) == expected
    assert layers == expected


def copy_sources(target: Path) -> None:
    """Copy what a wheel is built from, without a compiled library."""
    target.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, target)
    ignored = shutil.ignore_patterns("__pycache__", LIBRARY_NAME)
    for name in package_folders():
        shutil.copytree(ROOT / name, target / name, ignore=ignored)


def test_wheel_holds_every_module_and_data_file(tmp_path: Path) -> None:
    """Built from a copy: an editable install finds packages that a wheel lacks."""
    source = tmp_path / "source"
    copy_sources(source)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    done = subprocess.run(
        [*pip, "--no-index", "--wheel-dir", str(tmp_path), str(source)],
        env={**os.environ, "CXX": "no-such-compiler"},  # its library is tested in tests/native
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    expected = {
        f"minilm/{path.relative_to(ROOT).as_posix()}"
        for directory in package_directories()
        for path in (ROOT / directory).iterdir()
        if path.is_file() and path.name != LIBRARY_NAME
    }
    with zipfile.ZipFile(wheel) as archive:
        assert expected - set(archive.namelist()) == set()
