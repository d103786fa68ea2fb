"""The original, each list of texts embedded once, and bundles with a planted fault."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from minilm.runtime.manifest import read
from minilm.verify.reference import GOLDEN_NAME, PyTorchReference

from tests.support.fakes import CachedReference
from tests.support.faults import BundleWithFault, Fault, write_manifest


@pytest.fixture(scope="session")
def reference(original: PyTorchReference) -> CachedReference:
    return CachedReference(original)


@pytest.fixture
def faulty(bundle: Path, tmp_path: Path) -> Iterator[BundleWithFault]:
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
