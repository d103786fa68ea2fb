"""Each fault planted in a real bundle fails the right gate, by name."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.manifest import MANIFEST_NAME, read
from minilm.verify import Report, verify_bundle
from minilm.verify.reference import PyTorchReference, Reference
from onnx import helper

from tests.verify.plants import (
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

Faulty = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("few_texts")


def failed(report: Report) -> set[str]:
    return {gate.name for _, gate in report.failures}


def test_nothing_planted_nothing_found(faulty: Faulty, reference: Reference) -> None:
    report = verify_bundle(faulty(), against=reference)
    assert failed(report) == set()
    assert report.notes == ("gate golden: left out, since the bundle has no golden.npz",)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (edit(one_layer_off), {"cosine-mean", "cosine-min", "padded-min"}),
        (cls_pooling, {"outputs", "padded-min"}),
        (padding_in_the_mean, {"outputs", "padded-min", "padding-invariance"}),
        (no_norm, {"unit-length"}),
        (edit(positions_off_by_one), {"cosine-mean", "padded-min"}),
        (change_json("tokenizer.json", case_kept), {"tokenizer", "cosine-min"}),
    ],
    ids=["weights", "cls", "padding", "norm", "positions", "case"],
)
def test_a_planted_fault(
    faulty: Faulty, reference: Reference, fault: Fault, expected: set[str]
) -> None:
    report = verify_bundle(faulty(fault), against=reference)
    assert not report.passed
    assert failed(report) >= expected
    assert not failed(report) & {"integrity", "reference", "limit", "repeat"}


def test_token_types(faulty: Faulty, reference: Reference, original: PyTorchReference) -> None:
    report = verify_bundle(faulty(edit(other_token_type(original))), against=reference)
    assert failed(report) >= {"cosine-mean", "cosine-min", "padded-min"}


def test_truncation_at_128(faulty: Faulty, reference: Reference) -> None:
    report = verify_bundle(faulty(max_tokens=128), against=reference)
    assert failed(report) >= {"facts", "limit", "cosine-min"}
    limit = next(gate for _, gate in report.failures if gate.name == "limit")
    assert (limit.figure, limit.threshold) == (128, 256)
    worst = next(gate for _, gate in report.failures if gate.name == "cosine-min").worst
    assert "length-" in worst


def test_facts_that_the_bundles_own_files_contradict(faulty: Faulty, reference: Reference) -> None:
    def normalized_no_more(modules: Any) -> None:
        del modules[-1]

    def cut(config: dict[str, Any]) -> None:
        config["max_seq_length"] = 128

    report = verify_bundle(
        faulty(
            change_json("modules.json", normalized_no_more),
            change_json("sentence_bert_config.json", cut),
            pooling="cls",
        ),
        against=reference,
    )
    gate = next(gate for _, gate in report.failures if gate.name == "facts")
    assert gate.figure == 3
    assert gate.detail == (
        "max_tokens: 256 in the manifest, 128 in the bundle's files; "
        "pooling: cls in the manifest, mean in the bundle's files; "
        "normalized: True in the manifest, False in the bundle's files"
    )


@pytest.mark.parametrize("variant", ["cpu/int8", "openvino/int8"])
def test_another_interface_than_the_manifest_says(
    faulty: Faulty, reference: Reference, variant: str
) -> None:
    copy = faulty(variant=variant)
    manifest = read(copy)
    (promised,) = manifest.variants
    states, vectors = promised.outputs
    changed = replace(
        promised,
        opset=99,
        inputs=promised.inputs[:1],
        outputs=(replace(states, dtype="float16"), replace(vectors, shape=("batch", 128))),
    )
    write_manifest(copy, replace(manifest, variants=(changed,)))
    report = verify_bundle(copy, against=reference)
    assert failed(report) == {"interface"}
    (_, gate), *_ = report.failures
    assert (gate.figure, gate.worst) == (4, "opset")
    assert "input attention_mask: int64 (any, any), manifest none" in gate.detail
    assert "sentence_embedding: float32 (any, 384), manifest float32 (any, 128)" in gate.detail


def test_other_dimensions_stop_before_the_variants(faulty: Faulty, reference: Reference) -> None:
    report = verify_bundle(faulty(dimension=768), against=reference)
    assert failed(report) == {"facts"}
    assert report.variants == ()
    assert "no variant was judged" in report.notes[-1]


def test_per_tensor_int8(faulty: Faulty, reference: Reference) -> None:
    report = verify_bundle(
        faulty(edit(per_tensor_int8(np.int8)), rename="cpu/int8"), against=reference
    )
    assert failed(report) >= {"batch-invariance", "padding-invariance", "operators"}


def test_int8_of_unsigned_weights(faulty: Faulty, reference: Reference) -> None:
    report = verify_bundle(
        faulty(edit(per_tensor_int8(np.uint8)), rename="cpu/int8"), against=reference
    )
    precision = next(gate for _, gate in report.failures if gate.name == "precision")
    assert precision.figure == 0
    assert "computed in uint8 from weights stored in uint8" in precision.detail


def test_a_manifest_that_promises_another_precision(faulty: Faulty, reference: Reference) -> None:
    report = verify_bundle(faulty(rename="cpu/int8"), against=reference)
    assert failed(report) == {"precision"}
    (_, gate), *_ = report.failures
    assert gate.figure == 0
    assert "computed in float32 from weights stored in float32" in gate.detail
    assert gate.worst


def test_other_operators_than_the_manifest_says(faulty: Faulty, reference: Reference) -> None:
    def add(graph: Any) -> None:
        graph.node.append(helper.make_node("Identity", ["input_ids"], ["fault_copy"]))

    report = verify_bundle(faulty(edit(add)), against=reference)
    assert failed(report) == {"operators"}
    (_, gate), *_ = report.failures
    assert gate.worst == "Identity"


def test_golden_vectors_replaced(faulty: Faulty, reference: Reference) -> None:
    swapped = faulty(golden("vectors", lambda rows: rows[::-1]), golden=True)
    assert failed(verify_bundle(swapped, against=reference)) == {"golden"}


def test_golden_vectors_of_other_weights(faulty: Faulty, reference: Reference) -> None:
    swapped = faulty(golden("weights_sha256", lambda digest: digest[::-1]), golden=True)
    report = verify_bundle(swapped, against=reference)
    assert failed(report) == {"golden"}
    assert "recorded from other weights" in report.failures[0][1].detail


def test_golden_vectors_of_another_width(faulty: Faulty, reference: Reference) -> None:
    narrow = faulty(golden("vectors", lambda rows: rows[:, :100]), golden=True)
    report = verify_bundle(narrow, against=reference)
    assert failed(report) == {"golden"}
    assert report.failures[0][1].detail == "100 dimensions, the reference has 384"


def test_other_weights_are_no_reference(faulty: Faulty, reference: Reference) -> None:
    report = verify_bundle(faulty(weights_sha256="0" * 64), against=reference)
    assert failed(report) == {"reference"}
    assert report.variants == ()
    assert "the bundle was made from" in report.failures[0][1].detail


@pytest.mark.parametrize("same", [True, False])
def test_a_bundle_is_no_reference(faulty: Faulty, bundle: Path, *, same: bool) -> None:
    copy = faulty()
    report = verify_bundle(copy, against=str(copy if same else bundle))
    assert failed(report) == {"reference"}
    kind = "itself" if same else "another bundle"
    assert f"is {kind}: an artifact cannot vouch for an artifact" in report.failures[0][1].detail


def test_one_flipped_byte_in_each_file(faulty: Faulty) -> None:
    copy = faulty()
    for entry in read(copy).files:
        path = copy / entry.path
        data = path.read_bytes()
        if not data:
            continue
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        with pytest.raises(InvalidArtifact, match=entry.path) as e:
            verify_bundle(copy)
        assert e.value.exit_code == 3
        path.write_bytes(data)


def test_a_file_cut_at_fifty_offsets(faulty: Faulty) -> None:
    copy = faulty()
    path = copy / "onnx/model.onnx"
    size = path.stat().st_size
    for offset in np.linspace(size - 1, 0, 50).astype(int):
        with path.open("r+b") as file:
            file.truncate(offset)
        with pytest.raises(InvalidArtifact, match=r"onnx/model\.onnx is truncated") as e:
            verify_bundle(copy)
        assert e.value.exit_code == 3


def test_a_missing_and_an_added_file(faulty: Faulty) -> None:
    copy = faulty()
    (copy / "vocab.txt").rename(copy / "vocabulary.txt")
    with pytest.raises(InvalidArtifact, match=r"vocab(ulary)?\.txt"):
        verify_bundle(copy)
    (copy / "vocabulary.txt").unlink()
    with pytest.raises(InvalidArtifact, match=r"vocab\.txt is missing"):
        verify_bundle(copy)


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(InvalidArtifact, match=MANIFEST_NAME):
        verify_bundle(tmp_path)


def test_an_unknown_variant(bundle: Path) -> None:
    with pytest.raises(InvalidArtifact, match="has no variant 'cpu/int4'; it has: cpu/fp32"):
        verify_bundle(bundle, variants=["cpu/int4"])


def test_two_variants_swapped(faulty: Faulty, bundle: Path, reference: Reference) -> None:
    if not any(variant.name == "cpu/int8" for variant in read(bundle).variants):
        pytest.skip("the bundle has no cpu/int8")

    def swap(copy: Path) -> None:
        shutil.copyfile(bundle / "onnx/model_int8.onnx", copy / "onnx/model.onnx")

    report = verify_bundle(faulty(swap), against=reference)
    assert failed(report) >= {"operators", "precision", "cosine-min"}
