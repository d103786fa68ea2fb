"""The manifest's text, there and back."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.manifest import VARIANTS, Manifest, read


@pytest.fixture
def text(tiny_bundle: Path) -> str:
    return (tiny_bundle / "manifest.json").read_text("utf-8")


def test_there_and_back(text: str) -> None:
    manifest = Manifest.from_json(text)
    assert manifest.to_json() == text
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_names(tiny_bundle: Path) -> None:
    manifest = read(tiny_bundle)
    assert [variant.name for variant in manifest.variants] == list(VARIANTS)
    variant = manifest.variant("openvino/int8")
    assert (variant.target, variant.precision) == ("openvino", "int8")
    fewer = dataclasses.replace(manifest, variants=manifest.variants[:1])
    message = "the bundle has no variant 'cpu/int8'; it has: cpu/fp32"
    with pytest.raises(InvalidArtifact, match=f"^{re.escape(message)}$"):
        fewer.variant("cpu/int8")


@pytest.mark.parametrize(
    "change",
    [
        {"model": None},
        {"model": {"id": "x"}},
        {"files": [{"path": "a"}]},
        {"files": 3},
        {"variants": [{"name": "cpu/fp32"}]},
        {"variants": [{"name": "tpu/fp32"}]},
        {"variants": ["cpu/fp32"]},
        {"toolchain": 3},
    ],
)
def test_fields_that_do_not_fit(change: dict[str, Any], text: str) -> None:
    changed = json.dumps({**json.loads(text), **change})
    with pytest.raises(InvalidArtifact, match=r"^manifest.json does not follow format 1: "):
        Manifest.from_json(changed)
