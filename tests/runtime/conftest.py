"""Encoders that many tests share, and the original that they are held against."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from minilm.runtime import Encoder, load
from minilm.runtime.hardware.host import Host
from minilm.verify.reference import PyTorchReference


@pytest.fixture(scope="session")
def encoder(bundle: Path) -> Iterator[Encoder]:
    """The real model, float32, on ONNX Runtime: exact enough to compare with the original."""
    with load(bundle, target="cpu", precision="fp32", on_long="truncate") as loaded:
        yield loaded


@pytest.fixture(scope="session")
def tiny(tiny_bundle: Path) -> Iterator[Encoder]:
    """The tiny model, float32, on two threads whatever the machine has."""
    with load(tiny_bundle, target="cpu", precision="fp32", threads=2, on_long="truncate") as loaded:
        yield loaded


@pytest.fixture(scope="session")
def original() -> PyTorchReference:
    return PyTorchReference(None)


@pytest.fixture
def tiny_copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the tiny bundle, to do harm to."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "tiny-bert"))


HostMaker = Callable[..., Host]


@pytest.fixture
def make_host() -> HostMaker:
    """A host with the facts given and plain ones for the rest."""

    def make(**facts: object) -> Host:
        plain: dict[str, object] = {
            "system": "Linux",
            "arch": "x86_64",
            "instruction_sets": ("avx2",),
            "cores": 2,
            "cores_reason": "2 by affinity mask",
            "backends": {"onnxruntime": "1.23.0", "openvino": "2025.3.0"},
            "providers": ("CPUExecutionProvider",),
        }
        return Host(**{**plain, **facts})  # type: ignore[arg-type]  # checked by the dataclass's use

    return make
