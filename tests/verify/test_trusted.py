"""The reference is data too: nothing that its directory names is imported or run."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from minilm.runtime.errors import SourceError
from minilm.verify.reference import find_weights

from tests.support.cli import run_toolkit

CODE = """
from pathlib import Path
Path(__file__).with_name("ran").touch()
from sentence_transformers.models import Transformer
"""


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model with code of its own beside it."""
    copy = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (copy / "evil.py").write_text(CODE, encoding="utf-8")
    return copy


def edit_modules(model: Path, place: int, **fields: Any) -> None:
    path = model / "modules.json"
    modules = json.loads(path.read_text("utf-8"))
    modules[place].update(fields)
    path.write_text(json.dumps(modules), encoding="utf-8")


def test_known_types_are_accepted(model: Path) -> None:
    assert find_weights(str(model)) == model


@pytest.mark.parametrize(
    "name",
    [
        "evil.Transformer",
        "Transformer",
        "sentence_transformers.models.Dense",
        "sentence_transformers.models.evil.Transformer",
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_unknown_module_type(model: Path, name: str, place: int) -> None:
    edit_modules(model, place, type=name)
    with pytest.raises(SourceError, match=rf"names a module of type '{name}': supported are"):
        find_weights(str(model))


def test_verify_against_does_not_import_code_of_the_model(model: Path, tiny_bundle: Path) -> None:
    edit_modules(model, 0, type="evil.Transformer")
    done = run_toolkit("verify", tiny_bundle, "--against", model)
    assert done.returncode == 5, done.stderr
    assert "names a module of type 'evil.Transformer'" in done.stderr
    assert not (model / "ran").exists()


@pytest.mark.parametrize(
    ("file", "fields"),
    [
        ("config.json", {"auto_map": {"AutoModel": "evil.Model"}}),
        ("config.json", {"attn_implementation": "team/kernel"}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.Tokenizer", None]}}),
        ("sentence_bert_config.json", {"model_args": {"trust_remote_code": True}}),
        ("sentence_bert_config.json", {"processor_kwargs": {"trust_remote_code": True}}),
        ("processor_config.json", {"auto_map": {"AutoProcessor": "evil.Processor"}}),
    ],
)
def test_settings_that_can_load_code(model: Path, file: str, fields: dict[str, Any]) -> None:
    path = model / file
    data = json.loads(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(json.dumps(data | fields), encoding="utf-8")
    with pytest.raises(SourceError, match=rf"{file} sets {next(iter(fields))} to .* can load code"):
        find_weights(str(model))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.parametrize(
    "file", ["modules.json", "config.json", "1_Pooling/config.json", "special_tokens_map.json"]
)
def test_a_pipe_is_refused_before_anything_waits_for_it(model: Path, file: str) -> None:
    (model / file).unlink(missing_ok=True)
    os.mkfifo(model / file)
    with pytest.raises(SourceError, match=f"{file} is a pipe, a device or a socket: put a file "):
        find_weights(str(model))


def test_adapter(model: Path) -> None:
    (model / "adapter_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(SourceError, match="has an adapter: merge it first"):
        find_weights(str(model))


@pytest.mark.parametrize("path", ["..", "/etc", "../other", "missing"])
def test_transformer_outside_the_model(model: Path, path: str) -> None:
    edit_modules(model, 0, path=path)
    with pytest.raises(SourceError, match="expected a folder in it"):
        find_weights(str(model))


@pytest.mark.parametrize(
    "content", ["{", "{}", "[]", "[7]", '[{"type": 1, "path": ""}]', "[" * 9999]
)
def test_modules_that_are_not_understood(model: Path, content: str) -> None:
    (model / "modules.json").write_text(content, encoding="utf-8")
    with pytest.raises(SourceError, match=r"modules\.json"):
        find_weights(str(model))
