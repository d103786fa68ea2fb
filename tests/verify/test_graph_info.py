"""Arithmetic and storage of made-up graphs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.manifest import read
from minilm.verify.candidates.graph_info import MatMulPrecisions, can_read_graph, read_graph_info
from onnx import TensorProto, helper, numpy_helper

SHAPE = (4, 4)


def save(folder: Path, nodes: Sequence[Any], stored: dict[str, np.ndarray[Any, Any]]) -> Path:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])
    weights = [numpy_helper.from_array(value, name) for name, value in stored.items()]
    graph = helper.make_graph(list(nodes), "made", [x], [y], weights)
    path = folder / "made.onnx"
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(path))
    return path


def node(kind: str, inputs: str, output: str, **settings: Any) -> Any:
    return helper.make_node(kind, inputs.split(), [output], name=output, **settings)


F32 = np.ones(SHAPE, np.float32)
S8 = np.ones(SHAPE, np.int8)
ONE = np.array(1, np.float32)
ZERO = np.array(0, np.int8)


@pytest.mark.parametrize(
    ("nodes", "stored", "kinds"),
    [
        ([node("MatMul", "x w", "y")], {"w": F32}, [("float32", "float32")]),
        ([node("MatMul", "x x", "y")], {}, []),
        ([node("MatMul", "x w", "y")], {"w": F32.astype(np.float16)}, [("float16", "float16")]),
        (
            [node("Cast", "w", "c", to=TensorProto.FLOAT), node("MatMul", "x c", "y")],
            {"w": F32.astype(np.float16)},
            [("float32", "float16")],
        ),
        (
            [node("Transpose", "w", "t"), node("Gemm", "x t", "y")],
            {"w": F32},
            [("float32", "float32")],
        ),
        (
            [node("DequantizeLinear", "w s z", "d"), node("MatMul", "x d", "y")],
            {"w": S8, "s": ONE, "z": ZERO},
            [("float32", "int8")],
        ),
        (
            [
                node("Cast", "w", "c", to=TensorProto.FLOAT),
                node("Mul", "c s", "d"),
                node("MatMul", "x d", "y"),
            ],
            {"w": S8, "s": ONE},
            [("float32", "int8")],
        ),
        (
            [
                node("QuantizeLinear", "x s z", "q"),
                node("DequantizeLinear", "q s z", "a"),
                node("DequantizeLinear", "w s z", "d"),
                node("MatMul", "a d", "y"),
            ],
            {"w": S8, "s": ONE, "z": ZERO},
            [("int8", "int8")],
        ),
        (
            [
                node("QuantizeLinear", "x s z", "q"),
                node("MatMulInteger", "q w z z", "i"),
                node("Cast", "i", "y", to=TensorProto.FLOAT),
            ],
            {"w": S8, "s": ONE, "z": ZERO},
            [("int8", "int8")],
        ),
        (
            [
                node("Cast", "x", "q", to=TensorProto.UINT8),
                node("MatMulInteger", "q w", "i"),
                node("Cast", "i", "y", to=TensorProto.FLOAT),
            ],
            {"w": S8.astype(np.uint8)},
            [("uint8", "uint8")],
        ),
        (
            [
                node(
                    "MatMulNBits", "x w s", "y", domain="com.microsoft", K=4, N=4, bits=8,
                    block_size=16,
                )
            ],
            {"w": np.ones((4, 1, 16), np.uint8), "s": np.ones(4, np.float32)},
            [("float32", "uint8")],
        ),
        (
            [
                helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(F32)),
                node("MatMul", "x w", "y"),
            ],
            {},
            [("float32", "float32")],
        ),
    ],
)  # fmt: skip
def test_products(
    tmp_path: Path,
    nodes: list[Any],
    stored: dict[str, np.ndarray[Any, Any]],
    kinds: list[tuple[str, str]],
) -> None:
    found = read_graph_info(save(tmp_path, nodes, stored))
    assert list(found.precisions.kinds) == kinds
    assert sum(found.operators.values()) == len(nodes)


def test_shares_of_what_is_promised() -> None:
    kinds = (("int8", "int8"), ("float32", "int8"), ("float32", "float32"), ("float16", "float16"))
    products = MatMulPrecisions(kinds=kinds)
    shares = {kind: products.share(kind) for kind in ("int8", "fp16", "fp32", "bf16")}
    assert shares == {"int8": 0.25, "fp16": 0.25, "fp32": 0.5, "bf16": 0.5}
    assert MatMulPrecisions(kinds=()).share("int8") == 0
    assert MatMulPrecisions(kinds=()).sentence() == "products: none"


def test_domains_are_part_of_an_operators_name(tmp_path: Path) -> None:
    path = save(tmp_path, [node("Gelu", "x", "y", domain="com.microsoft")], {})
    assert read_graph_info(path).operators == {"com.microsoft.Gelu": 1}


def test_every_variant_is_as_the_manifest_says(bundle: Path) -> None:
    shares = {}
    for variant in read(bundle).variants:
        path = bundle / variant.files[0]
        assert can_read_graph(path)
        found = read_graph_info(path)
        assert found.operators == dict(variant.operators), variant.name
        assert found.opset == variant.opset
        assert [port.name for port in found.inputs] == [port.name for port in variant.inputs]
        assert {port.dtype for port in found.outputs} == {"float32"}
        assert [port.name for port in found.outputs] == [port.name for port in variant.outputs]
        shares[variant.name] = found.precisions.share(variant.precision)
    assert min(shares.values()) >= 0.5
    assert {name for name, share in shares.items() if share < 1} <= {"cuda/int8"}


@pytest.mark.parametrize("name", ["a.onnx", "a.xml"])
def test_files_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(InvalidArtifact, match=f"cannot read .*{name}"):
        read_graph_info(tmp_path / name)
