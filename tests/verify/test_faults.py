"""Each fault planted in a real bundle fails the right gate, by name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.manifest import MANIFEST_NAME, read
from minilm.verify import Report, verify_bundle
from minilm.verify.golden import GOLDEN_NAME
from minilm.verify.reference import PyTorchReference, Reference
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray[Any, Any]
Fault = Callable[[Path], None]
Faulty = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("few_texts")


def failed(report: Report) -> set[str]:
    return {gate.name for _, gate in report.failures}


def edit(change: Callable[[Any], None], file: str = "onnx/model.onnx") -> Fault:
    """A fault in an ONNX file."""

    def fault(bundle: Path) -> None:
        model = onnx.load(str(bundle / file))
        change(model.graph)
        onnx.save(model, str(bundle / file))

    return fault


def weights(graph: Any, wanted: Callable[[tuple[int, ...]], bool]) -> Any:
    """The first initializer of such a shape."""
    return next(item for item in graph.initializer if wanted(tuple(item.dims)))


def replace_values(initializer: Any, values: Array) -> None:
    initializer.CopyFrom(numpy_helper.from_array(values, initializer.name))


def pool_anew(nodes: list[Any], constants: dict[str, Array]) -> Fault:
    """Pools `last_hidden_state` by `nodes`, which give `sentence_embedding`."""

    def change(graph: Any) -> None:
        for node in graph.node:
            for place, name in enumerate(node.output):
                if name == "sentence_embedding":
                    node.output[place] = "right_embedding"
        graph.node.extend(nodes)
        graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in constants.items())

    return edit(change)


AXIS = {"fault_axis": np.array([1], dtype=np.int64)}
NORM = [
    helper.make_node("Mul", ["fault_sum", "fault_sum"], ["fault_squares"]),
    helper.make_node("ReduceSum", ["fault_squares", "fault_axis"], ["fault_square"], keepdims=1),
    helper.make_node("Sqrt", ["fault_square"], ["fault_length"]),
    helper.make_node("Div", ["fault_sum", "fault_length"], ["sentence_embedding"]),
]
FIRST = helper.make_node("Gather", ["last_hidden_state", "fault_first"], ["fault_sum"], axis=1)
SUM = helper.make_node("ReduceSum", ["last_hidden_state", "fault_axis"], ["fault_sum"], keepdims=0)
MASKED_MEAN = [
    helper.make_node("Cast", ["attention_mask"], ["fault_mask"], to=TensorProto.FLOAT),
    helper.make_node("Unsqueeze", ["fault_mask", "fault_last"], ["fault_wide"]),
    helper.make_node("Mul", ["last_hidden_state", "fault_wide"], ["fault_kept"]),
    helper.make_node("ReduceSum", ["fault_kept", "fault_axis"], ["fault_total"], keepdims=0),
    helper.make_node("ReduceSum", ["fault_wide", "fault_axis"], ["fault_count"], keepdims=0),
    helper.make_node("Div", ["fault_total", "fault_count"], ["sentence_embedding"]),
]
LAST = {"fault_last": np.array([2], dtype=np.int64)}


def cls_pooling(bundle: Path) -> None:
    pool_anew([FIRST, *NORM], {**AXIS, "fault_first": np.array(0, dtype=np.int64)})(bundle)


def padding_in_the_mean(bundle: Path) -> None:
    pool_anew([SUM, *NORM], AXIS)(bundle)


def no_norm(bundle: Path) -> None:
    pool_anew(MASKED_MEAN, {**AXIS, **LAST})(bundle)


def one_layer_off(graph: Any) -> None:
    item = weights(graph, lambda dims: len(dims) == 2 and dims[0] == 384 and dims[1] % 384 == 0)
    values = numpy_helper.to_array(item)
    noise = np.random.default_rng(0).normal(scale=0.01, size=values.shape)
    replace_values(item, (values * (1 + noise)).astype(values.dtype))


def positions(graph: Any) -> Any:
    return weights(graph, lambda dims: len(dims) == 2 and 256 <= dims[0] <= 512 == dims[0])


def positions_off_by_one(graph: Any) -> None:
    item = positions(graph)
    replace_values(item, np.roll(numpy_helper.to_array(item), -1, axis=0))


def other_token_type(original: PyTorchReference) -> Callable[[Any], None]:
    from safetensors.numpy import load_file

    table = load_file(original.directory / "model.safetensors")
    types = next(table[name] for name in table if name.endswith("token_type_embeddings.weight"))

    def change(graph: Any) -> None:
        # Type 1 for each token, wherever the graph keeps type 0.
        item = positions(graph)
        replace_values(item, numpy_helper.to_array(item) + (types[1] - types[0]))

    return change


def change_json(file: str, change: Callable[[dict[str, Any]], None]) -> Fault:
    def fault(bundle: Path) -> None:
        data = json.loads((bundle / file).read_text(encoding="utf-8"))
        change(data)
        (bundle / file).write_text(json.dumps(data), encoding="utf-8")

    return fault


def case_kept(data: dict[str, Any]) -> None:
    data["normalizer"]["lowercase"] = False


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


def test_other_dimensions_stop_before_the_variants(faulty: Faulty, reference: Reference) -> None:
    report = verify_bundle(faulty(dimension=768), against=reference)
    assert failed(report) == {"facts"}
    assert report.variants == ()
    assert "no variant was judged" in report.notes[-1]


def per_tensor_int8(dtype: type[np.integer[Any]]) -> Callable[[Any], None]:
    """The recipe that everybody ships: one activation scale for the whole batch."""
    zero = 128 if dtype is np.uint8 else 0

    def change(graph: Any) -> None:
        stored = {item.name: item for item in graph.initializer}
        products = [n for n in graph.node if n.op_type == "MatMul" and n.input[1] in stored]
        for place, node in enumerate(products):
            left, right = node.input
            values = numpy_helper.to_array(stored[right])
            scale = float(np.abs(values).max()) / 127
            constants = {
                f"fault_{place}_weight": (np.round(values / scale) + zero).astype(dtype),
                f"fault_{place}_zero": np.array(zero, dtype=dtype),
                f"fault_{place}_scale": np.array(scale, dtype=np.float32),
            }
            graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in constants.items())
            code, ours, at, whole, wide, both = (
                f"fault_{place}_{kind}" for kind in ("code", "ours", "at", "whole", "wide", "both")
            )
            weight, offset, theirs = constants
            new = [
                helper.make_node("DynamicQuantizeLinear", [left], [code, ours, at]),
                helper.make_node("MatMulInteger", [code, weight, at, offset], [whole]),
                helper.make_node("Cast", [whole], [wide], to=TensorProto.FLOAT),
                helper.make_node("Mul", [ours, theirs], [both]),
                helper.make_node("Mul", [wide, both], list(node.output)),
            ]
            where = list(graph.node).index(node)
            graph.node.remove(node)
            for item in reversed(new):
                graph.node.insert(where, item)

    return change


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


def test_golden_vectors_replaced(faulty: Faulty, bundle: Path, reference: Reference) -> None:
    def swap(copy: Path) -> None:
        with np.load(bundle / GOLDEN_NAME) as archive:
            arrays = dict(archive)
        arrays["vectors"] = arrays["vectors"][::-1]
        np.savez(copy / GOLDEN_NAME, **arrays)

    report = verify_bundle(faulty(swap), against=reference)
    assert failed(report) == {"golden"}


def test_golden_vectors_of_other_weights(
    faulty: Faulty, bundle: Path, reference: Reference
) -> None:
    def swap(copy: Path) -> None:
        with np.load(bundle / GOLDEN_NAME) as archive:
            arrays = dict(archive)
        arrays["weights_sha256"] = arrays["weights_sha256"][::-1]
        np.savez(copy / GOLDEN_NAME, **arrays)

    report = verify_bundle(faulty(swap), against=reference)
    assert failed(report) == {"golden"}
    assert "recorded from other weights" in report.failures[0][1].detail


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
        with pytest.raises(InvalidArtifact, match=r"onnx/model\.onnx"):
            verify_bundle(copy)


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
