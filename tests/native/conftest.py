"""The native library, compiled from the sources as they are now."""

import os
from pathlib import Path

import pytest

from tests.native import reference
from tests.support.native_library import compiled


@pytest.fixture(scope="session")
def library() -> Path:
    """The library under test; the sanitizers' test runs the others with one of its own."""
    if given := os.environ.get("MINILM_TESTED_LIBRARY"):
        return Path(given)
    return compiled()


@pytest.fixture(scope="session")
def small() -> reference.Architecture:
    return reference.with_rotation(reference.Architecture())


@pytest.fixture(scope="session")
def small_file(small: reference.Architecture) -> bytes:
    """A weight file of 2 layers of width 32."""
    return reference.weight_file(small, reference.random_tensors(small))
