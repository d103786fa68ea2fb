"""Faults to plant in a bundle: each is a function that takes the bundle's directory."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from minilm.runtime.manifest import MANIFEST_NAME, REPORT_DIR, FileEntry, Manifest
from minilm.verify.reference import PyTorchReference
from minilm.verify.reference.golden import GOLDEN_NAME
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray[Any, Any]
Fault = Callable[[Path], None]
BundleWithFault = Callable[..., Path]


def edit(change: Callable[[Any], None], file: str = "onnx/model.onnx") -> Fault:
    """A fault in an ONNX file."""

    def fault(bundle: Path) -> None:
        model = onnx.load(str(bundle / file))
        change(model.graph)
        onnx.save(model, str(bundle / file))

    return fault


def golden(name: str, change: Callable[[Array], Array]) -> Fault:
    """A fault in one array of the golden vectors, which have to be there."""

    def fault(bundle: Path) -> None:
        path = bundle / GOLDEN_NAME
        with np.load(path) as archive:
            arrays = dict(archive)
        arrays[name] = change(arrays[name])
        path.unlink()  # it may be a link to the real one
        np.savez(path, **arrays)

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


def write_manifest(bundle: Path, manifest: Manifest) -> None:
    """Write a manifest whose files are those that are there."""
    paths = sorted(
        path
        for path in bundle.rglob("*")
        if path.is_file()
        and path.name != MANIFEST_NAME
        and path.relative_to(bundle).parts[0] != REPORT_DIR
    )
    files = tuple(
        FileEntry(
            path=path.relative_to(bundle).as_posix(),
            bytes=path.stat().st_size,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in paths
    )
    (bundle / MANIFEST_NAME).write_text(replace(manifest, files=files).to_json(), encoding="utf-8")
