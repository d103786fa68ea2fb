"""Bundles that are dear to make, once a session. Nothing may write into them: copy first."""

import json
from pathlib import Path

import pytest
from hypothesis import settings
from minilm.pipeline import BuildOptions, build
from minilm.verify.reference import PyTorchReference

from tests.support.native_library import install
from tests.support.tiny_model import write_tiny_model

# A test must not fail because the machine is busy.
settings.register_profile("toolkit", deadline=None)
settings.load_profile("toolkit")


@pytest.fixture(scope="session", autouse=True)
def native_library() -> None:
    """Compile the native encoder where the loader looks for it, if its sources have changed."""
    install()


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real model, all variants. A build with the same code before makes it quick."""
    output = tmp_path_factory.mktemp("real") / "all-MiniLM-L6-v2"
    build(BuildOptions(output=output, verify=False))
    return output


@pytest.fixture(scope="session")
def original() -> PyTorchReference:
    """The original in PyTorch, loaded once."""
    return PyTorchReference(None)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory of random weights: other width, depth, pooling and limit."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny-model") / "tiny-bert")


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where builds of the tiny model keep their stages."""
    return tmp_path_factory.mktemp("tiny-cache")


@pytest.fixture(scope="session")
def tiny_bundle(
    tiny_model: Path, tiny_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """All variants of the tiny model."""
    output = tmp_path_factory.mktemp("tiny") / "tiny-bert"
    build(BuildOptions(model=str(tiny_model), output=output, cache_dir=tiny_cache, verify=False))
    return output


@pytest.fixture
def manifest(bundle: Path) -> dict[str, object]:
    """The real bundle's manifest as JSON data."""
    data: dict[str, object] = json.loads((bundle / "manifest.json").read_text("utf-8"))
    return data
