"""What `toolkit verify` must catch without PyTorch, by the name of the gate and the exit code.

Golden vectors are the weaker reference, with fewer texts: what they catch, PyTorch catches too.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.manifest import MANIFEST_NAME, VARIANTS, read
from minilm.verify import check_bundle
from minilm.verify.reference import PyTorchReference
from minilm.verify.reference import baseline as baseline_module
from typer.testing import Result

from tests.support.cli import toolkit
from tests.support.faults import (
    BundleWithFault,
    Fault,
    case_kept,
    change_json,
    cls_pooling,
    edit,
    golden,
    no_norm,
    one_layer_off,
    other_token_type,
    padding_in_the_mean,
    per_tensor_int8,
    positions_off_by_one,
    write_manifest,
)


@pytest.fixture(autouse=True)
def no_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline_module, "torch_installed", lambda: False)


@pytest.fixture
def whole(bundle: Path, tmp_path: Path) -> Path:
    """The whole bundle, its files linked: `put` replaces one."""
    copy = tmp_path / "whole"
    for entry in read(bundle).files:
        (copy / entry.path).parent.mkdir(parents=True, exist_ok=True)
        os.link(bundle / entry.path, copy / entry.path)
    put(copy / MANIFEST_NAME, (bundle / MANIFEST_NAME).read_bytes())
    return copy


def put(path: Path, data: bytes) -> None:
    """Write a file anew: other links to it keep what they have."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def failed(result: Result) -> dict[str, set[str]]:
    """Place to the names of the gates that failed there."""
    report: dict[str, Any] = json.loads(result.stdout)
    places = {"bundle": report["gates"], **{v["name"]: v["gates"] for v in report["variants"]}}
    names = {at: {g["name"] for g in gates if not g["passed"]} for at, gates in places.items()}
    return {at: gates for at, gates in names.items() if gates}


def token_type(bundle: Path) -> None:
    edit(other_token_type(PyTorchReference(None)))(bundle)


@pytest.mark.parametrize(
    ("fault", "planted", "expected"),
    [
        (edit(one_layer_off), {}, {"cosine-mean", "cosine-p01", "cosine-min", "padded-min"}),
        (cls_pooling, {}, {"outputs", "padded-min", "cosine-min"}),
        (no_norm, {}, {"unit-length"}),
        (padding_in_the_mean, {}, {"outputs", "padding-invariance", "batch-invariance"}),
        (None, {"max_tokens": 128}, {"facts", "limit", "cosine-min"}),
        (token_type, {}, {"cosine-mean", "cosine-min", "padded-min"}),
        (edit(positions_off_by_one), {}, {"cosine-mean", "padded-min"}),
        (change_json("tokenizer.json", case_kept), {}, {"tokenizer", "cosine-min"}),
        (edit(per_tensor_int8(np.uint8)), {"rename": "cpu/int8"}, {"precision", "cosine-min"}),
        (
            edit(per_tensor_int8(np.int8)),
            {"rename": "cpu/int8"},
            {"batch-invariance", "padding-invariance"},
        ),
        (None, {"rename": "cpu/int8"}, {"precision"}),
        (None, {"weights_sha256": "0" * 64}, {"reference"}),
    ],
    ids=[
        "other weights",
        "CLS pooling",
        "no L2 norm",
        "padding inside the mean",
        "truncation at 128",
        "token types",
        "positions",
        "lower-casing dropped",
        "saturating u8 weights",
        "per-tensor int8",
        "another precision promised",
        "weights of another model",
    ],
)
def test_a_planted_fault(
    faulty: BundleWithFault, fault: Fault | None, planted: dict[str, Any], expected: set[str]
) -> None:
    copy = faulty(*([fault] if fault else []), golden=True, **planted)
    result = toolkit("verify", copy, "--json")
    assert result.exit_code == 1
    assert set.union(*failed(result).values()) >= expected
    assert all(gate in result.stderr.splitlines()[-1] for gate in expected)


def test_two_variants_swapped(whole: Path) -> None:
    pair = [whole / VARIANTS[name][0] for name in ("cpu/fp32", "cpu/int8")]
    first, second = (path.read_bytes() for path in pair)
    put(pair[0], second)
    put(pair[1], first)
    result = toolkit("verify", whole)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "onnx/model.onnx is truncated" in result.stderr
    write_manifest(whole, read(whole))
    result = toolkit("verify", whole, "--json")
    assert result.exit_code == 1
    found = failed(result)
    assert set(found) == {"cpu/fp32", "cpu/int8"}
    assert found["cpu/fp32"] >= {"operators", "precision", "cosine-min"}
    assert found["cpu/int8"] >= {"operators", "precision"}


def test_golden_vectors_replaced(whole: Path) -> None:
    golden("vectors", lambda rows: rows[::-1])(whole)
    result = toolkit("verify", whole)
    assert (result.exit_code, result.stdout) == (3, "")
    write_manifest(whole, read(whole))
    result = toolkit("verify", whole, "--variants", "cpu/fp32,cpu/int8", "--json")
    assert result.exit_code == 1
    found = failed(result)
    assert set(found) == {"cpu/fp32", "cpu/int8"}
    assert all(gates >= {"cosine-mean", "cosine-min", "top10"} for gates in found.values())


@pytest.fixture
def tiny_copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "tiny"))


def test_one_flipped_byte_in_each_file(tiny_copy: Path) -> None:
    for entry in read(tiny_copy).files:
        path = tiny_copy / entry.path
        data = path.read_bytes()
        if not data:
            continue
        changed = bytearray(data)
        changed[len(data) // 2] ^= 1
        path.write_bytes(changed)
        with pytest.raises(InvalidArtifact, match=f"{entry.path} was altered"):
            check_bundle(tiny_copy)
        path.write_bytes(data)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_file_cut_at_fifty_offsets(tiny_copy: Path, name: str) -> None:
    file = VARIANTS[name][-1]
    path = tiny_copy / file
    for offset in np.linspace(path.stat().st_size - 1, 0, 50).astype(int):
        os.truncate(path, offset)
        with pytest.raises(InvalidArtifact, match=f"{file} is truncated: {offset} bytes"):
            check_bundle(tiny_copy)


def test_a_damaged_bundle_exits_with_3(tiny_copy: Path) -> None:
    os.truncate(tiny_copy / "onnx/model.onnx", 10)
    result = toolkit("verify", tiny_copy)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "onnx/model.onnx is truncated: 10 bytes" in result.stderr


def test_nothing_planted(whole: Path) -> None:
    result = toolkit("verify", whole, "--json")
    assert result.exit_code == 0
    assert failed(result) == {}
    assert [v["name"] for v in json.loads(result.stdout)["variants"]] == list(VARIANTS)
