import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.manifest import MANIFEST_NAME, read
from minilm.verify import compare

from tests.support.faults import write_manifest


def test_a_bundle_with_itself(tiny_bundle: Path) -> None:
    said: list[str] = []
    found = compare(
        tiny_bundle, tiny_bundle, pairs=[("cpu/fp32", "cpu/fp32")], on_progress=said.append
    )
    assert found.files == ()
    assert found.missing == ()
    (change,) = found.variants
    assert change.operators == {}
    assert change.between.minimum > 0.999999
    assert change.parity_before == change.parity_after
    assert change.parity_before is not None
    assert change.speed > 0
    assert said[-1] == "comparing cpu/fp32"
    assert "Every file is the same." in found.to_markdown()
    assert json.loads(found.to_json())["variants"][0]["before"] == "cpu/fp32"


def test_two_variants_of_one_bundle(tiny_bundle: Path) -> None:
    found = compare(tiny_bundle, tiny_bundle, pairs=[("cpu/fp32", "cpu/int8")])
    (change,) = found.variants
    assert change.after_bytes < change.before_bytes
    assert change.operators
    text = found.to_markdown()
    assert "| cpu/fp32 → cpu/int8 |" in text
    kind, (before, after) = next(iter(change.operators.items()))
    assert f"{kind} {before} → {after}" in text


def test_files_and_variants_that_only_one_has(tiny_bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_bundle, other)
    manifest = read(other)
    kept = manifest.variant("cpu/fp32")
    gone = {"golden.npz"} | {f for v in manifest.variants for f in v.files} - set(kept.files)
    for path in gone:
        (other / path).unlink()
    files = tuple(entry for entry in manifest.files if entry.path not in gone)
    smaller = replace(manifest, files=files, variants=(kept,))
    (other / MANIFEST_NAME).write_text(smaller.to_json(), encoding="utf-8")
    found = compare(tiny_bundle, other)
    assert {change.path for change in found.files} == gone
    assert all(change.after_bytes is None for change in found.files)
    assert [change.after for change in found.variants] == ["cpu/fp32"]
    assert found.variants[0].parity_after is None
    assert f"cpu/int8 is only in {tiny_bundle.name}" in found.missing
    text = found.to_markdown()
    assert "→ unknown" in text
    assert "| golden.npz | " in text
    assert "absent" in text
    back = compare(other, tiny_bundle)
    assert f"cpu/int8 is only in {tiny_bundle.name}" in back.missing


def test_other_content_of_the_same_size(tiny_bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_bundle, other)
    path = other / "README.md"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    write_manifest(other, read(other))
    found = compare(tiny_bundle, other, pairs=[("cpu/fp32", "cpu/fp32")])
    (change,) = found.files
    assert change.sides == (f"{path.stat().st_size:,} B", "other content")
    assert f"| README.md | {path.stat().st_size:,} B | other content |" in found.to_markdown()


def test_nothing_in_common(tiny_bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_bundle, other)
    nothing = replace(read(other), variants=())
    (other / MANIFEST_NAME).write_text(nothing.to_json(), encoding="utf-8")
    with pytest.raises(InvalidArtifact, match="share no variant: cpu/fp32"):
        compare(tiny_bundle, other)
    with pytest.raises(InvalidArtifact, match="has no variant 'cpu/fp32'"):
        compare(tiny_bundle, other, pairs=[("cpu/fp32", "cpu/fp32")])


def test_a_damaged_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_bundle, other)
    (other / "config.json").write_bytes(b"{}")
    with pytest.raises(InvalidArtifact, match=r"config\.json"):
        compare(tiny_bundle, other)
