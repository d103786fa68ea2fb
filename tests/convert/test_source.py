"""Where weights come from, and each way in which they can be wrong."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from minilm.convert import DEFAULT_MODEL, resolve
from minilm.convert import source as source_module
from minilm.runtime.errors import SourceError

from tests.support.tiny_model import DIMENSION, HEADS, LAYERS, MAX_TOKENS


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model to damage."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def edit(path: Path, **fields: Any) -> None:
    data = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(data | fields), encoding="utf-8")


def test_default_is_the_packaged_model() -> None:
    source = resolve()
    assert source.id == DEFAULT_MODEL
    assert source.weights_sha256 == source_module.DEFAULT_WEIGHTS_SHA256
    assert source.config.max_tokens == 256
    assert source.config.pooling == "mean"


def test_directory_gives_its_own_config(tiny_model: Path) -> None:
    source = resolve(str(tiny_model))
    shape = source.config
    assert source.id == "tiny-bert"
    assert (shape.layers, shape.heads, shape.dimension) == (LAYERS, HEADS, DIMENSION)
    assert (shape.max_tokens, shape.pooling, shape.normalized) == (MAX_TOKENS, "cls", True)


def test_wrong_hash(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    monkeypatch.setattr(source_module, "_packaged", lambda: tiny_model)
    with pytest.raises(SourceError, match=r"has SHA-256 [0-9a-f]{64}, expected 53aa5117") as caught:
        resolve()
    assert caught.value.exit_code == 5


def test_package_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "_PACKAGE", "no_such_package")
    with pytest.raises(SourceError, match=r'pip install "minilm-toolkit\[build\]"'):
        resolve()


def test_pickles_are_not_read(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(SourceError, match=r"found pytorch_model.bin.*never pickles"):
        resolve(str(model))


def test_sharded_weights_are_named(model: Path) -> None:
    (model / "model.safetensors").rename(model / "model-00001-of-00002.safetensors")
    with pytest.raises(SourceError, match=r"model-00001-of-00002.safetensors.*single-file"):
        resolve(str(model))


def test_no_such_model() -> None:
    with pytest.raises(SourceError, match="neither a directory that exists nor a Hub id"):
        resolve("./missing")


def test_model_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"")
    with pytest.raises(SourceError, match="is a file: give the directory"):
        resolve(str(path))


@pytest.mark.parametrize("name", ["line\nbreak", "esc\x1b[31m"])
def test_directory_whose_name_no_manifest_can_hold(
    tiny_model: Path, tmp_path: Path, name: str
) -> None:
    model = shutil.copytree(tiny_model, tmp_path / name)
    with pytest.raises(SourceError, match="gives the model no printable name") as caught:
        resolve(str(model))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("file", "fields", "message"),
    [
        ("config.json", {"model_type": "gpt2"}, "model_type 'gpt2', supported is 'bert'"),
        ("config.json", {"hidden_act": "relu"}, "hidden_act 'relu', supported is 'gelu'"),
        ("config.json", {"position_embedding_type": "relative_key"}, "supported is 'absolute'"),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "supported are mean and cls"),
        ("1_Pooling/config.json", {"pooling_mode_cls_token": False}, "has no pooling"),
    ],
)
def test_unsupported_architecture(
    model: Path, file: str, fields: dict[str, Any], message: str
) -> None:
    edit(model / file, **fields)
    with pytest.raises(SourceError, match=message) as caught:
        resolve(str(model))
    assert caught.value.exit_code == 5


def test_modules_in_another_order(model: Path) -> None:
    modules = json.loads((model / "modules.json").read_text("utf-8"))
    (model / "modules.json").write_text(json.dumps(modules[::-1]), encoding="utf-8")
    with pytest.raises(SourceError, match=r"lists Normalize, Pooling, Transformer; supported is"):
        resolve(str(model))


def test_missing_pooling(model: Path) -> None:
    shutil.rmtree(model / "1_Pooling")
    with pytest.raises(SourceError, match="has path '1_Pooling': there is no such folder"):
        resolve(str(model))


@pytest.mark.parametrize("file", ["modules.json", "config.json", "1_Pooling/config.json"])
def test_missing_description(model: Path, file: str) -> None:
    (model / file).unlink()
    with pytest.raises(SourceError, match="not a sentence-transformers model directory"):
        resolve(str(model))


def test_description_is_not_json(model: Path) -> None:
    (model / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(SourceError, match=r"cannot read .*config\.json"):
        resolve(str(model))


def test_limit_is_never_over_the_positions(model: Path) -> None:
    edit(model / "sentence_bert_config.json", max_seq_length=100_000)
    assert resolve(str(model)).config.max_tokens == 2 * MAX_TOKENS
