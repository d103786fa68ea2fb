"""Compile the native encoder with the system's C++ compiler: standard library only.

`setup.py` does this as part of the package's build. By hand, beside the sources:

    python runtime/native/build.py
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

__all__ = ["CompilationFailed", "compile_library", "find_compiler", "sources"]

FOLDER: Final = Path(__file__).parent
LIBRARY_NAME: Final = "minilm_native" + {"darwin": ".dylib", "win32": ".dll"}.get(
    sys.platform, ".so"
)

_WINDOWS: Final = sys.platform == "win32"
_FLAGS: Final = ("-std=c++17", "-O3", "-fvisibility=hidden", *(() if _WINDOWS else ("-fPIC",)))
_COMPILERS: Final = ("clang++",) if _WINDOWS else ("c++", "g++", "clang++")
"""On Windows GCC does not align wide registers that it keeps on the stack (its bug 54412)."""
_ARITHMETIC: Final = ("-ffp-contract=off", "-fno-math-errno")
"""No fused multiply-add but those that the sources ask for: every kernel gives the same bytes."""

_AVX512: Final = ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma")
_KERNEL_FLAGS: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "x86_64": {
        "floats/avx512.cpp": _AVX512,
        "floats/avx2.cpp": ("-mavx2", "-mfma"),
        "integer/amx.cpp": ("-mamx-tile", "-mamx-int8"),
        "integer/avx512_vnni.cpp": (*_AVX512, "-mavx512vnni"),
        "integer/avx_vnni.cpp": ("-mavx2", "-mavxvnni"),
        "integer/avx2.cpp": ("-mavx2",),
    },
    "arm64": {
        "floats/neon.cpp": (),
        "integer/neon_dot.cpp": ("-march=armv8.2-a+dotprod",),
    },
}
"""Files that are compiled for one architecture only, with the instruction sets that they need."""

_ARCHITECTURES: Final = {"amd64": "x86_64", "x64": "x86_64", "aarch64": "arm64"}


class CompilationFailed(Exception):  # noqa: N818 - says what happened, as the toolkit's errors do
    """There is no C++ compiler, or it failed: the message has its output."""


def find_compiler() -> list[str]:
    """The C++ compiler's command: the environment variable CXX, or the first one on the path.

    Raises:
        CompilationFailed: there is none.
    """
    named = os.environ.get("CXX")
    for command in (named,) if named else _COMPILERS:
        words = shlex.split(command)
        if words and shutil.which(words[0]):
            return words
    if named:
        raise CompilationFailed(f"no C++17 compiler: CXX is {named!r}, which is not a command")
    raise CompilationFailed(f"no C++17 compiler: found none of {', '.join(_COMPILERS)}")


def sources(architecture: str | None = None) -> dict[Path, Sequence[str]]:
    """Each source file for an architecture (None: this machine's), and the flags that it needs."""
    if architecture is None:
        machine = platform.machine().lower()
        architecture = _ARCHITECTURES.get(machine, machine)
    every = {name for flags in _KERNEL_FLAGS.values() for name in flags}
    own = _KERNEL_FLAGS.get(architecture, {})
    folder = FOLDER / "src"
    return {
        path: own.get(name, ())
        for path in sorted(folder.rglob("*.cpp"))
        if (name := path.relative_to(folder).as_posix()) in own or name not in every
    }


def compile_library(  # noqa: PLR0913 - tests compile the same sources in several ways
    output: Path,
    objects: Path,
    *,
    compiler: Sequence[str] | None = None,
    flags: Sequence[str] = (),
    architecture: str | None = None,
    program: Path | None = None,
    own_flags: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Compile the shared library, or a program of the same sources.

    Args:
        output: path of the library.
        objects: folder for object files, made if missing.
        compiler: command to use instead of the one that `find_compiler` finds.
        flags: further flags, for compiling and linking.
        architecture: "x86_64" or "arm64" for a cross compiler; None is this machine's.
        program: source file with a `main`, to link a program instead.
        own_flags: flags of single files, by name below `src`, instead of those that they have.

    Raises:
        CompilationFailed: no compiler, or it failed.
    """
    command = list(compiler or find_compiler())
    files = {
        path: (own_flags or {}).get(path.relative_to(FOLDER / "src").as_posix(), own)
        for path, own in sources(architecture).items()
    }
    if program is not None:
        files[program] = (f"-I{FOLDER / 'src'}",)
    objects.mkdir(parents=True, exist_ok=True)
    include = f"-I{FOLDER / 'include'}"

    def compile_file(path: Path) -> Path:
        target = objects / f"{path.parent.name}-{path.stem}.o"
        own = (*_FLAGS, *_ARITHMETIC, include, *files[path], *flags)
        _run([*command, *own, "-c", str(path), "-o", str(target)])
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = list(pool.map(compile_file, files))
    output.parent.mkdir(parents=True, exist_ok=True)
    shared = "-dynamiclib" if sys.platform == "darwin" else "-shared"
    kind = [shared] if program is None else []
    threads = () if _WINDOWS else ("-pthread",)
    _run([*command, *kind, *flags, *threads, "-o", str(output), *map(str, made)])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise CompilationFailed(f"{shlex.join(command)} failed:\n{done.stderr}")


if __name__ == "__main__":
    try:
        compile_library(FOLDER / LIBRARY_NAME, FOLDER.parents[1] / "build" / "native")
    except CompilationFailed as error:
        sys.exit(f"the native encoder is left out: {error}")
