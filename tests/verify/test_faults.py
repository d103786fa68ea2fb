"""Faults in a real bundle that need PyTorch to be seen, or whose details matter.

`test_must_catch.py` plants the others and finds them by golden vectors, the weaker reference.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.manifest import MANIFEST_NAME, read
from minilm.verify import (
    RejectedReference,
    Report,
    check_bundle,
    resolve_reference,
    verify_bundle,
)
from minilm.verify.reference import Reference
from onnx import TensorProto, helper

from tests.support.faults import (
    BundleWithFault,
    Fault,
    case_kept,
    change_json,
    edit,
    golden,
    one_layer_off,
    padding_in_the_mean,
    per_tensor_int8,
    write_manifest,
)
from tests.support.verifying import FEW_TEXTS, failed_gates, verify


def compare(bundle: Path, reference: Reference) -> Report:
    return verify(bundle, reference, corpus=FEW_TEXTS)


def test_nothing_planted_nothing_found(faulty: BundleWithFault, reference: Reference) -> None:
    report = compare(faulty(), reference)
    assert failed_gates(report) == set()
    assert report.notes == ("gate golden: left out, since the bundle has no golden.npz",)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (edit(one_layer_off), {"cosine-mean", "cosine-min", "padded-min"}),
        (padding_in_the_mean, {"outputs", "padded-min", "padding-invariance"}),
        (change_json("tokenizer.json", case_kept), {"tokenizer", "cosine-min"}),
    ],
    ids=["weights", "padding", "case"],
)
def test_a_planted_fault(
    faulty: BundleWithFault, reference: Reference, fault: Fault, expected: set[str]
) -> None:
    report = compare(faulty(fault), reference)
    assert not report.passed
    assert failed_gates(report) >= expected
    assert not failed_gates(report) & {"integrity", "reference", "limit", "repeat"}


def test_truncation_at_128(faulty: BundleWithFault, reference: Reference) -> None:
    report = compare(faulty(max_tokens=128), reference)
    assert failed_gates(report) >= {"facts", "limit", "cosine-min"}
    limit = next(gate for _, gate in report.failures if gate.name == "limit")
    assert (limit.figure, limit.threshold) == (128, 256)
    worst = next(gate for _, gate in report.failures if gate.name == "cosine-min").worst
    assert "length-" in worst


def test_facts_that_the_bundles_own_files_contradict(
    faulty: BundleWithFault, reference: Reference
) -> None:
    def normalized_no_more(modules: Any) -> None:
        del modules[-1]

    def cut(config: dict[str, Any]) -> None:
        config["max_seq_length"] = 128

    report = compare(
        faulty(
            change_json("modules.json", normalized_no_more),
            change_json("sentence_bert_config.json", cut),
            pooling="cls",
        ),
        reference,
    )
    gate = next(gate for _, gate in report.failures if gate.name == "facts")
    assert gate.figure == 3
    assert gate.detail == (
        "max_tokens: 256 in the manifest, 128 in the bundle's files; "
        "pooling: cls in the manifest, mean in the bundle's files; "
        "normalized: True in the manifest, False in the bundle's files"
    )


def test_limits_and_padding_of_the_tokenizers_files(
    faulty: BundleWithFault, reference: Reference
) -> None:
    def original(data: dict[str, Any]) -> None:
        data["truncation"]["max_length"] = 128
        data["padding"]["strategy"] = {"Fixed": 128}

    def no_limit(data: dict[str, Any]) -> None:
        data["model_max_length"] = 10**30

    report = compare(
        faulty(
            change_json("tokenizer.json", original), change_json("tokenizer_config.json", no_limit)
        ),
        reference,
    )
    assert failed_gates(report) == {"facts"}
    assert report.failures[0][1].detail == (
        "max_tokens: 256 in the manifest, 128 in tokenizer.json; "
        "max_tokens: 256 in the manifest, None in tokenizer_config.json; "
        "padding: BatchLongest expected, Fixed in tokenizer.json"
    )


def test_a_graph_that_onnx_refuses(faulty: BundleWithFault, reference: Reference) -> None:
    """ONNX Runtime takes it."""

    def mistype(graph: Any) -> None:
        (weight,) = (
            each for each in graph.initializer if each.name.endswith("0.output.LayerNorm.weight")
        )
        info = helper.make_tensor_value_info(weight.name, TensorProto.FLOAT16, weight.dims)
        graph.value_info.append(info)

    report = compare(faulty(edit(mistype)), reference)
    assert failed_gates(report) == {"checker"}
    (_, gate), *_ = report.failures
    assert (gate.figure, gate.threshold) == (1, 0)
    assert "Inferred elem type differs from existing elem type" in gate.worst


@pytest.mark.parametrize("variant", ["cpu/int8", "openvino/int8"])
def test_another_interface_than_the_manifest_says(
    faulty: BundleWithFault, reference: Reference, variant: str
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
    report = compare(copy, reference)
    assert failed_gates(report) == {"interface"}
    (_, gate), *_ = report.failures
    assert (gate.figure, gate.worst) == (4, "opset")
    assert "input attention_mask: int64 (any, any), manifest none" in gate.detail
    assert "sentence_embedding: float32 (any, 384), manifest float32 (any, 128)" in gate.detail


def test_other_dimensions_stop_before_the_variants(
    faulty: BundleWithFault, reference: Reference
) -> None:
    report = compare(faulty(dimension=768), reference)
    assert failed_gates(report) == {"facts"}
    assert report.variants == ()
    assert "no variant was judged" in report.notes[-1]


def test_int8_of_unsigned_weights(faulty: BundleWithFault, reference: Reference) -> None:
    report = compare(faulty(edit(per_tensor_int8(np.uint8)), rename="cpu/int8"), reference)
    precision = next(gate for _, gate in report.failures if gate.name == "precision")
    assert precision.figure == 0
    assert "computed in uint8 from weights stored in uint8" in precision.detail


def test_other_operators_than_the_manifest_says(
    faulty: BundleWithFault, reference: Reference
) -> None:
    def add(graph: Any) -> None:
        graph.node.append(helper.make_node("Identity", ["input_ids"], ["fault_copy"]))

    report = compare(faulty(edit(add)), reference)
    assert failed_gates(report) == {"operators"}
    (_, gate), *_ = report.failures
    assert gate.worst == "Identity"


def test_golden_vectors_replaced(faulty: BundleWithFault, reference: Reference) -> None:
    swapped = faulty(golden("vectors", lambda rows: rows[::-1]), golden=True)
    assert failed_gates(compare(swapped, reference)) == {"golden"}


def test_golden_vectors_of_other_weights(faulty: BundleWithFault, reference: Reference) -> None:
    swapped = faulty(golden("weights_sha256", lambda digest: digest[::-1]), golden=True)
    report = compare(swapped, reference)
    assert failed_gates(report) == {"golden"}
    assert "recorded from other weights" in report.failures[0][1].detail


def test_golden_vectors_of_another_width(faulty: BundleWithFault, reference: Reference) -> None:
    narrow = faulty(golden("vectors", lambda rows: rows[:, :100]), golden=True)
    report = compare(narrow, reference)
    assert failed_gates(report) == {"golden"}
    assert report.failures[0][1].detail == "100 dimensions, the reference has 384"


@pytest.mark.parametrize("same", [True, False])
def test_a_bundle_is_no_reference(faulty: BundleWithFault, bundle: Path, *, same: bool) -> None:
    copy = faulty()
    named = resolve_reference(str(copy if same else bundle), copy)
    assert isinstance(named, RejectedReference)
    report = verify_bundle(check_bundle(copy), named)
    assert failed_gates(report) == {"reference"}
    kind = "itself" if same else "another bundle"
    assert f"is {kind}: an artifact cannot vouch for an artifact" in report.failures[0][1].detail


def test_a_missing_and_an_added_file(faulty: BundleWithFault) -> None:
    copy = faulty()
    (copy / "vocab.txt").rename(copy / "vocabulary.txt")
    with pytest.raises(InvalidArtifact, match=r"vocab(ulary)?\.txt"):
        check_bundle(copy)
    (copy / "vocabulary.txt").unlink()
    with pytest.raises(InvalidArtifact, match=r"vocab\.txt is missing"):
        check_bundle(copy)


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(InvalidArtifact, match=MANIFEST_NAME):
        check_bundle(tmp_path)


def test_an_unknown_variant(bundle: Path) -> None:
    with pytest.raises(InvalidArtifact, match="has no variant 'cpu/int4'; it has: cpu/fp32"):
        check_bundle(bundle, ["cpu/int4"])
