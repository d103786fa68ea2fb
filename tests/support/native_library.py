"""The native encoder compiled from its sources as they are now, once for all who ask."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from minilm.runtime.native import LIBRARY_PATH, build

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "native-tests"


def built(name: str, make: Callable[[Path, Path], None], *inputs: str) -> Path:
    """A file made from the sources as they are: from an earlier run, or made now.

    Args:
        name: name of the file.
        make: writes the file at the first path; may use the folder at the second.
        inputs: what else decides its content.
    """
    digest = hashlib.sha256(" ".join(inputs).encode())
    for folder in (ROOT / "runtime/native", ROOT / "tests/native"):
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".cpp", ".h", ".inl"} or path.name == "build.py":
                digest.update(path.read_bytes())
    folder = BUILD / f"{name}-{digest.hexdigest()[:16]}"
    finished = folder / name
    if not finished.exists():
        unfinished = folder / f"unfinished-{os.getpid()}-{name}"
        objects = folder / f"objects-{os.getpid()}"
        make(unfinished, objects)
        shutil.rmtree(objects)
        unfinished.replace(finished)
    return finished


def compiled(*flags: str) -> Path:
    """A library of these sources and flags."""
    return built(
        build.LIBRARY_NAME,
        lambda output, objects: build.compile_library(output, objects, flags=flags),
        *flags,
    )


def install() -> None:
    """Put the library beside its sources, where the loader looks; nothing without a compiler."""
    try:
        build.find_compiler()
    except build.CompilationFailed:
        return
    library = compiled()
    if LIBRARY_PATH.exists() and LIBRARY_PATH.read_bytes() == library.read_bytes():
        return
    copy = LIBRARY_PATH.with_name(f"{LIBRARY_PATH.name}.{os.getpid()}")
    shutil.copy(library, copy)
    copy.replace(LIBRARY_PATH)
