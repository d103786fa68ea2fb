"""Weights outside an ONNX file: found wherever a graph may name them, and refused in a bundle."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minilm.runtime import load
from minilm.runtime.backends.external_data import external_files
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.manifest import read
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

from tests.support.faults import write_manifest

WEIGHTS = numpy_helper.from_array(np.ones(4, np.float32), "w")


def outside(path: str) -> TensorProto:
    tensor = TensorProto()
    tensor.CopyFrom(WEIGHTS)
    set_external_data(tensor, path)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    return tensor


def model_with(change: Callable[[Any], None]) -> bytes:
    info = helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [info], [result])
    graph.initializer.append(WEIGHTS)
    model = helper.make_model(graph)
    change(model)
    return bytes(model.SerializeToString())


def in_an_initializer(model: Any) -> None:
    model.graph.initializer.append(outside("w.bin"))


def in_a_constant(model: Any) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=outside("w.bin")))


def in_a_branch(model: Any) -> None:
    branch = helper.make_graph([], "b", [], [], initializer=[outside("w.bin")])
    model.graph.node.append(
        helper.make_node("If", ["x"], ["z"], then_branch=branch, else_branch=branch)
    )


def in_a_sparse_tensor(model: Any) -> None:
    sparse = model.graph.sparse_initializer.add()
    sparse.values.CopyFrom(outside("w.bin"))
    sparse.indices.CopyFrom(WEIGHTS)


def in_a_function(model: Any) -> None:
    node = helper.make_node("Constant", [], ["c"], value=outside("w.bin"))
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("d", "f", [], ["c"], [node], opsets))


def in_training(model: Any) -> None:
    model.training_info.add().initialization.initializer.append(outside("w.bin"))


@pytest.mark.parametrize(
    "change",
    [
        in_an_initializer,
        in_a_constant,
        in_a_branch,
        in_a_sparse_tensor,
        in_a_function,
        in_training,
    ],
)
def test_a_tensor_outside_is_found(change: Callable[[Any], None]) -> None:
    assert external_files(model_with(change)) == ("w.bin",)


def test_a_model_in_one_file_names_none() -> None:
    assert external_files(model_with(lambda _: None)) == ()


def test_each_file_is_named_once_in_order() -> None:
    def change(model: Any) -> None:
        model.graph.initializer.extend([outside("b"), outside("a"), outside("b")])

    assert external_files(model_with(change)) == ("b", "a")


def test_a_tensor_outside_without_a_path_counts() -> None:
    def change(model: Any) -> None:
        tensor = model.graph.initializer.add()
        tensor.data_location = TensorProto.EXTERNAL

    assert external_files(model_with(change)) == ("",)


@given(st.binary(max_size=200))
def test_any_bytes_give_paths_or_a_value_error(data: bytes) -> None:
    try:
        found = external_files(data)
    except ValueError:
        return
    assert all(isinstance(path, str) for path in found)


@given(st.data())
def test_a_cut_or_altered_model_gives_paths_or_a_value_error(data: st.DataObject) -> None:
    model = bytearray(model_with(in_an_initializer))
    place = data.draw(st.integers(0, len(model) - 1))
    model[place] = data.draw(st.integers(0, 255))
    del model[data.draw(st.integers(place, len(model))) :]
    try:
        external_files(bytes(model))
    except ValueError:
        return


def test_nested_messages_end_somewhere() -> None:
    inner = b""
    for _ in range(200):  # attribute (5) of a node (1) holds a graph (6)
        for key in (b"\x32", b"\x2a", b"\x0a"):
            size, length = len(inner), b""
            while size > 0x7F:
                length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
            inner = key + length + bytes([size]) + inner
    with pytest.raises(ValueError, match=r"nested more than 64 deep|beyond|wire type"):
        external_files(b"\x3a" + inner)


def test_a_bundle_whose_graph_keeps_weights_elsewhere_is_refused(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    (copy / "onnx").mkdir(parents=True)
    manifest = read(tiny_bundle)
    for entry in manifest.files:
        if not entry.path.startswith(("onnx/", "openvino/", "native/")):
            (copy / entry.path).parent.mkdir(parents=True, exist_ok=True)
            (copy / entry.path).write_bytes((tiny_bundle / entry.path).read_bytes())
    graph = onnx.load(str(tiny_bundle / "onnx/model.onnx"))
    (tmp_path / "elsewhere").mkdir()
    onnx.save(
        graph,
        str(tmp_path / "elsewhere" / "model.onnx"),
        save_as_external_data=True,
        location="w.bin",
        size_threshold=1024,
    )
    (tmp_path / "elsewhere" / "model.onnx").rename(copy / "onnx/model.onnx")
    write_manifest(copy, replace(manifest, variants=(manifest.variant("cpu/fp32"),)))
    # Where ONNX Runtime finds the weights, if nobody stops it.
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(InvalidArtifact, match=r"onnx/model\.onnx keeps weights in 'w\.bin': a bun"):
        load(copy, target="cpu", precision="fp32")
