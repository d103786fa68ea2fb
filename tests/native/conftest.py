"""The native library, compiled from the sources as they are now."""

import hashlib
import os
from pathlib import Path

import pytest
from minilm.runtime.native import build

from tests.native import reference

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "native-tests"


def compiled(name: str, *flags: str) -> Path:
    """A library of these sources and flags: from an earlier run, or compiled now."""
    digest = hashlib.sha256(" ".join(flags).encode())
    for path in sorted((ROOT / "runtime/native").rglob("*")):
        if path.suffix in {".cpp", ".h", ".inl", ".py"}:
            digest.update(path.read_bytes())
    folder = BUILD / f"{name}-{digest.hexdigest()[:16]}"
    library = folder / build.LIBRARY_NAME
    if not library.exists():
        unfinished = folder / f"unfinished-{os.getpid()}-{build.LIBRARY_NAME}"
        build.compile_library(unfinished, folder / f"objects-{os.getpid()}", flags=flags)
        unfinished.replace(library)
    return library


@pytest.fixture(scope="session")
def library() -> Path:
    return compiled("plain", "-Wall", "-Wextra", "-Wno-uninitialized", "-Wno-maybe-uninitialized")


@pytest.fixture(scope="session")
def small() -> reference.Architecture:
    return reference.with_rotation(reference.Architecture())


@pytest.fixture(scope="session")
def small_file(small: reference.Architecture) -> bytes:
    """A weight file of 2 layers of width 32."""
    return reference.weight_file(small, reference.random_tensors(small))
