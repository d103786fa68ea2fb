"""The tiny model's portable graph."""

from pathlib import Path

import pytest
from minilm.convert import export, resolve
from minilm.optimize import ExportedModel


@pytest.fixture(scope="session")
def exported(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportedModel:
    source = resolve(str(tiny_model))
    graph = export(source, tmp_path_factory.mktemp("portable") / "model.onnx")
    return ExportedModel(graph=graph, tokenizer=tiny_model / "tokenizer.json", config=source.config)
