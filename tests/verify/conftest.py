"""The original, loaded once, and bundles with a planted fault."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from minilm.runtime.manifest import read
from minilm.verify import corpus
from minilm.verify.reference.golden import GOLDEN_NAME
from minilm.verify.reference import PyTorchReference, Vectors

from tests.verify.plants import Fault, write_manifest

Faulty = Callable[..., Path]


class CachedReference:
    """A reference that embeds each list of texts once."""

    def __init__(self, reference: PyTorchReference) -> None:
        self._reference = reference
        self._seen: dict[tuple[str, ...], Vectors] = {}
        self.name = reference.name
        self.weights_sha256 = reference.weights_sha256
        self.max_tokens = reference.max_tokens

    def encode(self, texts: Sequence[str]) -> Vectors:
        key = tuple(texts)
        if key not in self._seen:
            self._seen[key] = self._reference.encode(texts)
        return self._seen[key]

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        return self._reference.token_ids(texts)


@pytest.fixture(scope="session")
def original() -> PyTorchReference:
    return PyTorchReference(None)


@pytest.fixture(scope="session")
def reference(original: PyTorchReference) -> CachedReference:
    return CachedReference(original)


@pytest.fixture
def few_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ninth of the corpus: enough to see a planted fault, and quick."""
    every = corpus._written()
    monkeypatch.setattr(corpus, "_written", lambda: every[::9])


@pytest.fixture
def faulty(bundle: Path, tmp_path: Path) -> Iterator[Faulty]:
    """Copies the bundle with one variant, plants a fault, and writes a manifest that fits it.

    The copy has golden vectors only if they are asked for.
    """
    destination = tmp_path / "faulty"

    def plant(
        *faults: Fault,
        variant: str = "cpu/fp32",
        rename: str | None = None,
        golden: bool = False,
        **facts: Any,
    ) -> Path:
        manifest = read(bundle)
        kept = manifest.variant(variant)
        unwanted = {path for other in manifest.variants for path in other.files} - set(kept.files)
        destination.mkdir()
        for entry in manifest.files:
            if entry.path in unwanted or (entry.path == GOLDEN_NAME and not golden):
                continue
            (destination / entry.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle / entry.path, destination / entry.path)
        for fault in faults:
            fault(destination)
        changed = replace(
            manifest,
            model=replace(manifest.model, **facts),
            variants=(replace(kept, name=rename or variant),),
        )
        write_manifest(destination, changed)
        return destination

    yield plant
    shutil.rmtree(destination, ignore_errors=True)
