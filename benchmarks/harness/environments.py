"""A virtual environment for each peer, and one for this project's wheel."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.harness.conversions import FOLDERS
from benchmarks.peers.registry import OURS

__all__ = [
    "ENVIRONMENTS",
    "MODELS",
    "ROOT",
    "SetupError",
    "child_environment",
    "convert",
    "ensure",
    "package_folders",
]

ROOT: Final = Path(__file__).resolve().parents[2]
ENVIRONMENTS: Final = ROOT / ".venv-peers"
MODELS: Final = ENVIRONMENTS / "models"

_REQUIREMENTS: Final = ROOT / "benchmarks" / "peers" / "requirements"
_SOURCE_FILES: Final = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")


class SetupError(RuntimeError):
    """An environment or a model could not be made; the message says why."""


def package_folders() -> list[str]:
    """Top folders of the packages that `pyproject.toml` lists, `minilm` being the root itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = project["tool"]["setuptools"]["packages"]
    return list(dict.fromkeys(name.split(".")[1] for name in packages))


def child_environment() -> Mapping[str, str]:
    """Environment variables of every process that is measured: no network, no foreign modules."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return kept | {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(MODELS),
        "HF_HUB_CACHE": str(MODELS / "hub"),
    }


def ensure(name: str) -> Path:
    """The Python of environment `name`, which is made or brought up to date if need be.

    Raises:
        SetupError: it cannot be made or filled here.
    """
    directory = ENVIRONMENTS / name
    wanted = [_REQUIREMENTS / f"{name}.txt"] if name != OURS else [ROOT / "constraints.txt"]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in wanted)).hexdigest()
    stamp = directory / ".ready"
    python = directory / "bin" / "python"
    if not stamp.is_file() or stamp.read_text("utf-8") != digest:
        shutil.rmtree(directory, ignore_errors=True)
        _run(sys.executable, "-m", "venv", str(directory))
        _pip(python, "--upgrade", "pip", "--constraint", str(ROOT / "constraints.txt"))
        if name != OURS:
            _pip(python, "--requirement", str(wanted[0]))
        stamp.write_text(digest, "utf-8")
    if name == OURS:
        _install_wheel(python)
    return python


def convert(python: Path, weights: Path, calibration: Path) -> Path:
    """Convert the original weights for the peers, once, in sentence-transformers' environment.

    Raises:
        SetupError: a conversion failed.
    """
    if not all((MODELS / folder).is_dir() for folder in FOLDERS):
        script = Path(__file__).with_name("conversions.py")
        _run(str(python), "-I", str(script), str(weights), str(MODELS), str(calibration))
    return MODELS


def _install_wheel(python: Path) -> None:
    """Install this project as it stands, built from a copy: setuptools keeps old builds' files."""
    with tempfile.TemporaryDirectory() as temporary:
        source, wheels = Path(temporary) / "source", Path(temporary) / "wheels"
        source.mkdir()
        for name in _SOURCE_FILES:
            shutil.copy(ROOT / name, source)
        for name in package_folders():
            # The native encoder is compiled anew, as for anybody who installs from source.
            ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.dylib", "*.dll")
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
        _run(*pip, "--wheel-dir", str(wheels), str(source))
        wheel = next(wheels.glob("*.whl"))
        constraints = ("--constraint", str(ROOT / "constraints.txt"))
        _pip(python, f"{wheel}[cpu,openvino,cli]", *constraints)
        _pip(python, "--force-reinstall", "--no-deps", str(wheel))


def _pip(python: Path, *arguments: str) -> None:
    _run(str(python), "-m", "pip", "install", "--quiet", *arguments)


def _run(*command: str) -> None:
    """Run a command quietly; what it wrote is shown if it fails."""
    try:
        subprocess.run(command, check=True, env=child_environment(), text=True, capture_output=True)
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if line.strip()]
        said = next((line for line in reversed(lines) if "rror" in line), "no message")
        raise SetupError(f"{' '.join(command[:6])} … failed: {said.strip()}") from error
