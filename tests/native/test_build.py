"""The package's build compiles the encoder, or says that it could not and goes on."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from minilm.runtime.native import LIBRARY_PATH, build

from tests.support.native_library import ROOT
from tests.test_packaging import copy_sources

FALSE = "false"
MINGW = "x86_64-w64-mingw32-g++-posix"


def build_wheel(source: Path, output: Path, compiler: str) -> subprocess.CompletedProcess[str]:
    copy_sources(source)
    pip = (sys.executable, "-m", "pip", "wheel", "--verbose", "--no-deps", "--no-build-isolation")
    return subprocess.run(
        [*pip, "--no-index", "--wheel-dir", str(output), str(source)],
        env={**os.environ, "CXX": compiler},
        capture_output=True,
        text=True,
        check=False,
    )


def names(folder: Path) -> tuple[str, list[str]]:
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return wheel.name, archive.namelist()


def test_wheel_has_the_library_and_no_python_abi(tmp_path: Path) -> None:
    compiler = " ".join(build.find_compiler())
    done = build_wheel(tmp_path / "source", tmp_path, compiler)
    assert done.returncode == 0, done.stderr
    wheel, files = names(tmp_path)
    assert "-py3-none-" in wheel
    assert not wheel.endswith("-any.whl")
    assert f"minilm/runtime/native/{build.LIBRARY_NAME}" in files
    assert [name for name in files if name.endswith((".cpp", ".inl", ".h"))] == []


@pytest.mark.parametrize("compiler", ["no-such-compiler", FALSE])
def test_build_goes_on_without_a_compiler(tmp_path: Path, compiler: str) -> None:
    done = build_wheel(tmp_path / "source", tmp_path, compiler)
    assert done.returncode == 0, done.stderr
    assert "the native encoder is left out: " in done.stdout + done.stderr
    wheel, files = names(tmp_path)
    assert wheel.endswith("-py3-none-any.whl")
    assert [name for name in files if build.LIBRARY_NAME in name] == []


def test_build_and_loader_agree_on_the_name() -> None:
    assert LIBRARY_PATH.name == build.LIBRARY_NAME


def test_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler -O1")
    with pytest.raises(build.CompilationFailed) as caught:
        build.find_compiler()
    assert str(caught.value) == (
        "no C++17 compiler: CXX is 'no-such-compiler -O1', which is not a command"
    )
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(build.CompilationFailed, match=r"found none of c\+\+, g\+\+, clang\+\+"):
        build.find_compiler()


def test_output_of_a_failing_compiler_is_shown(tmp_path: Path) -> None:
    with pytest.raises(build.CompilationFailed, match="unknown-flag"):
        build.compile_library(tmp_path / "library", tmp_path, flags=["-funknown-flag"])


@pytest.mark.skipif(not shutil.which(MINGW), reason="no compiler for Windows")
def test_sources_compile_for_windows(tmp_path: Path) -> None:
    """All of them: GCC's AMX, for one, does not assemble there."""
    library = tmp_path / "minilm_native.dll"
    build.compile_library(library, tmp_path, compiler=[MINGW], flags=["-O0", "-static"])
    assert library.read_bytes()[:2] == b"MZ"


@pytest.mark.parametrize(
    ("architecture", "kernels"),
    [
        ("x86_64", ["amx", "avx2", "avx512_vnni", "avx_vnni", "generic"]),
        ("arm64", ["generic", "neon_dot"]),
        ("riscv64", ["generic"]),
    ],
)
def test_each_architecture_compiles_its_own_kernels(
    architecture: str, kernels: Sequence[str]
) -> None:
    files = build.sources(architecture)
    assert [path.stem for path in files if path.parent.name == "integer"] == kernels


def test_engine_stays_within_its_size() -> None:
    """A reader can take in the whole of it: 2,500 lines of code, no file over 300 lines."""
    folders = (ROOT / "runtime/native/src", ROOT / "runtime/native/include")
    files = [
        [line.strip() for line in path.read_text("utf-8").splitlines()]
        for folder in folders
        for path in folder.rglob("*.*")
    ]
    comments = ("//", "/*", "*")
    code = [line for file in files for line in file if line and not line.startswith(comments)]
    assert len(code) <= 2500
    assert max(map(len, files)) <= 300
