"""Directories as other versions of sentence-transformers write them become the same bundle."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from minilm.pipeline import BuildOptions, build
from minilm.runtime import load
from minilm.runtime.manifest import read

from tests.support.tiny_model import MAX_TOKENS

TEXTS = ["a cat", "The cat sat on the mat with 7 hats", "far " * MAX_TOKENS, ""]


def saved(model: Path, destination: Path) -> None:
    """The model as today's sentence-transformers saves it."""
    from sentence_transformers import SentenceTransformer

    SentenceTransformer(str(model), device="cpu").save(str(destination))
    settings = json.loads((destination / "sentence_bert_config.json").read_text("utf-8"))
    assert "max_seq_length" not in settings


def nested(model: Path, destination: Path) -> None:
    """The model as the first versions saved it: the transformer in a folder."""
    shutil.copytree(model, destination / "0_Transformer")
    (destination / "0_Transformer/1_Pooling").rename(destination / "1_Pooling")
    modules = json.loads((destination / "0_Transformer/modules.json").read_text("utf-8"))
    (destination / "0_Transformer/modules.json").unlink()
    modules[0]["path"] = "0_Transformer"
    (destination / "modules.json").write_text(json.dumps(modules), encoding="utf-8")


def without_settings(model: Path, destination: Path) -> None:
    shutil.copytree(model, destination)
    (destination / "sentence_bert_config.json").unlink()


@pytest.mark.parametrize("write", [saved, nested, without_settings])
def test_layout_of_another_version(
    tiny_model: Path, tiny_bundle: Path, tiny_cache: Path, tmp_path: Path, write: object
) -> None:
    from sentence_transformers import SentenceTransformer

    assert callable(write)
    model, output = tmp_path / "tiny-bert", tmp_path / "bundle"
    write(tiny_model, model)
    summary = build(
        BuildOptions(model=str(model), output=output, cache_dir=tiny_cache, variants=("cpu/fp32",))
    )
    assert summary.report is not None
    assert summary.report.passed
    manifest = read(output)
    assert manifest.model == read(tiny_bundle).model
    assert manifest.model.max_tokens == MAX_TOKENS
    original = SentenceTransformer(str(model), device="cpu").encode(TEXTS)
    ours = load(output, target="cpu", precision="fp32").encode(TEXTS, on_long="truncate")
    np.testing.assert_allclose(ours, original, atol=2e-6)
    # The bundle is a sentence-transformers directory too, with the limit in its place.
    settings = json.loads((output / "sentence_bert_config.json").read_text("utf-8"))
    assert settings["max_seq_length"] == MAX_TOKENS
    theirs = SentenceTransformer(
        str(output),
        backend="onnx",
        model_kwargs={"file_name": "onnx/model.onnx", "provider": "CPUExecutionProvider"},
        local_files_only=True,
    ).encode(TEXTS)
    np.testing.assert_allclose(theirs, ours, atol=2e-6)
