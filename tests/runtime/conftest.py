"""Encoders that many tests share."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from minilm.runtime import Encoder, load
from minilm.runtime.backends import Backend, Session
from minilm.runtime.backends.batch import TokenBatch, Vectors
from minilm.runtime.hardware.host import Host


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


SessionWrapper = Callable[[Callable[[Session], Session]], None]


@pytest.fixture
def wrap_sessions(monkeypatch: pytest.MonkeyPatch) -> SessionWrapper:
    """Put something between the encoders that are loaded from now on and their sessions."""

    def wrap(wrapper: Callable[[Session], Session]) -> None:
        real = Backend.open_session
        monkeypatch.setattr(Backend, "open_session", lambda *arguments: wrapper(real(*arguments)))

    return wrap


class PassingSession:
    """A session that hands everything on: a base for those that change or record something."""

    def __init__(self, inner: Session) -> None:
        self.inner = inner
        self.workers = inner.workers
        self.budget_tokens = inner.budget_tokens
        self.survives_fork = inner.survives_fork

    def rows_within(self, budget_tokens: int, lengths: Iterable[int]) -> int:
        return self.inner.rows_within(budget_tokens, lengths)

    def run(self, batch: TokenBatch) -> Vectors:
        return self.inner.run(batch)
