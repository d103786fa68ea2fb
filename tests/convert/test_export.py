"""The portable graph: its interface, its names, its bytes, its numbers."""

import importlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
from minilm.convert import Source, export, resolve
from minilm.runtime.errors import BuildFailed, SourceError, UsageError

from tests.support.tiny_model import DIMENSION, write_tiny_model


@pytest.fixture(scope="module")
def source(tiny_model: Path) -> Source:
    return resolve(str(tiny_model))


@pytest.fixture(scope="module")
def graph(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(source, tmp_path_factory.mktemp("export") / "model.onnx")


def test_interface(graph: Path) -> None:
    model = ir.load(graph)
    named = {
        v.name: list(map(str, v.shape or ())) for v in (*model.graph.inputs, *model.graph.outputs)
    }
    assert named == {
        "input_ids": ["batch", "tokens"],
        "attention_mask": ["batch", "tokens"],
        "last_hidden_state": ["batch", "tokens", str(DIMENSION)],
        "sentence_embedding": ["batch", str(DIMENSION)],
    }


def test_graph_names_no_machine_and_no_path(graph: Path) -> None:
    model = ir.load(graph)
    assert not model.metadata_props
    assert not any(node.metadata_props or node.doc_string for node in model.graph)
    assert str(Path.cwd()).encode() not in graph.read_bytes()
    assert list(model.graph.initializers) == sorted(model.graph.initializers)


def test_weights_have_the_names_of_their_modules(graph: Path) -> None:
    names = ir.load(graph).graph.initializers
    assert "encoder.layer.0.attention.self.query.weight" in names
    assert "embeddings.word_embeddings.weight" in names


@pytest.mark.parametrize("fields", [{"vocab_size": 7}, {"pad_token_id": "x"}])
def test_a_model_that_cannot_be_loaded(
    fields: dict[str, object], tiny_model: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    config = json.loads((model / "config.json").read_text("utf-8"))
    (model / "config.json").write_text(json.dumps(config | fields), encoding="utf-8")
    with pytest.raises(SourceError, match=r"^sentence-transformers cannot load .*/model: "):
        export(resolve(str(model)), tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_same_bytes_again(source: Source, graph: Path, tmp_path: Path) -> None:
    assert export(source, tmp_path / "again.onnx").read_bytes() == graph.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["again.onnx"]


@pytest.mark.parametrize(("pooling", "normalized"), [("cls", True), ("mean", False)])
def test_vectors_match_sentence_transformers(
    tmp_path: Path, pooling: str, *, normalized: bool
) -> None:
    from sentence_transformers import SentenceTransformer

    model = write_tiny_model(tmp_path / "model", pooling=pooling, normalized=normalized)
    graph = export(resolve(str(model)), tmp_path / "model.onnx")
    original = SentenceTransformer(str(model), device="cpu")
    texts = ["a cat", "the cat sat on the mat with 7 hats", ""]
    batch = original.tokenizer(texts, padding=True, return_tensors="np")
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    feed = {name: batch[name].astype(np.int64) for name in ("input_ids", "attention_mask")}
    (found,) = session.run(["sentence_embedding"], feed)
    np.testing.assert_allclose(found, original.encode(texts), atol=2e-6)


def test_missing_linear_layer_fails_by_count(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("minilm.convert.export")
    monkeypatch.setattr(module, "_LINEAR", re.compile(r".*\.query\.weight"))
    with pytest.raises(BuildFailed, match="has 3 linear layers, the architecture 18"):
        export(source, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_destination_is_checked_before_the_work(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("minilm.convert.export")
    monkeypatch.setattr(module, "_trace", lambda *_: pytest.fail("the export has begun"))
    with pytest.raises(UsageError, match="is a directory: name a file"):
        export(source, tmp_path)
    with pytest.raises(UsageError, match=r"there is no directory .*nodir") as caught:
        export(source, tmp_path / "nodir" / "model.onnx")
    assert caught.value.option == "--output"
