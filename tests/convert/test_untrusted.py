"""A model directory is data: whatever it names, nothing of it is imported or run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from minilm.convert import resolve
from minilm.runtime.errors import SourceError

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


@pytest.mark.parametrize(
    "name",
    [
        "evil.Transformer",
        "Transformer",
        "sentence_transformers.models.evil.Transformer",
        "sentence_transformers.models.Dense",
        "sentence_transformers.models.transformer",
        " sentence_transformers.models.Transformer",
        "os.system",
        None,
        7,
        ["sentence_transformers.models.Transformer"],
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_unknown_module_type(model: Path, name: Any, place: int) -> None:
    edit_modules(model, place, type=name)
    with pytest.raises(SourceError, match=r"names a module of type .* never run") as caught:
        resolve(str(model))
    assert repr(name) in str(caught.value)


def write_graph(path: Path) -> None:
    """A graph with the names of an exported one, so that `optimize` goes on to the model."""
    from onnx import TensorProto, helper, save

    inputs, outputs = ("input_ids", "attention_mask"), ("last_hidden_state", "sentence_embedding")
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in (*inputs, *outputs)
    }
    nodes = [
        helper.make_node("Identity", [name], [output])
        for name, output in zip(inputs, outputs, strict=True)
    ]
    sides = [[values[name] for name in names] for names in (inputs, outputs)]
    save(helper.make_model(helper.make_graph(nodes, "graph", *sides)), str(path))


@pytest.mark.parametrize(
    "command",
    [
        ("export", "--output", "model.onnx"),
        ("build", "--output", "bundle"),
        ("build", "--output", "bundle", "--no-verify"),
        ("optimize", "graph.onnx"),
    ],
)
def test_no_command_imports_code_of_the_model(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    edit_modules(model, 0, type="evil.Transformer")
    monkeypatch.chdir(tmp_path)
    write_graph(tmp_path / "graph.onnx")
    done = run_toolkit(*command, "--model", str(model))
    assert done.returncode == 5, done.stderr
    assert "names a module of type 'evil.Transformer': supported are" in done.stderr
    assert not (model / "ran").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graph.onnx", "model"]


def test_refusal_comes_before_any_loader(model: Path) -> None:
    edit_modules(model, 0, type="evil.Transformer")
    code = (
        "import sys\n"
        "from minilm.convert import resolve\n"
        "from minilm.runtime.errors import SourceError\n"
        "try:\n"
        "    resolve(sys.argv[1])\n"
        "except SourceError:\n"
        "    print(sorted({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(model)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize(
    ("file", "fields"),
    [
        ("config.json", {"auto_map": {"AutoModel": "evil.Model"}}),
        ("config.json", {"attn_implementation": "team/kernel"}),
        ("config.json", {"quantization_config": {"quant_method": "custom"}}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.Tokenizer", None]}}),
        ("processor_config.json", {"auto_map": {"AutoProcessor": "evil.Processor"}}),
        ("sentence_bert_config.json", {"model_args": {"trust_remote_code": True}}),
        ("sentence_bert_config.json", {"config_kwargs": {"trust_remote_code": True}}),
        ("sentence_bert_config.json", {"tokenizer_name_or_path": "team/other"}),
    ],
)
def test_settings_that_load_code_or_other_files(
    model: Path, file: str, fields: dict[str, Any]
) -> None:
    path = model / file
    data = json.loads(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(json.dumps(data | fields), encoding="utf-8")
    with pytest.raises(SourceError, match=rf"{file} sets {next(iter(fields))} to "):
        resolve(str(model))


@pytest.mark.parametrize("path", ["/etc", "../other", "a/../..", "C:\\x", "a\0b", 7, None, ["x"]])
def test_module_folder_outside_the_model(model: Path, path: Any) -> None:
    edit_modules(model, 1, path=path)
    with pytest.raises(SourceError, match="expected a folder inside"):
        resolve(str(model))


@pytest.mark.parametrize("path", ["missing", "x" * 5000, "\ud800"])
def test_module_folder_that_is_not_there(model: Path, path: str) -> None:
    edit_modules(model, 1, path=path)
    with pytest.raises(SourceError, match="there is no such folder"):
        resolve(str(model))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.parametrize(
    "file", ["modules.json", "config.json", "1_Pooling/config.json", "special_tokens_map.json"]
)
def test_a_pipe_is_refused_before_anything_waits_for_it(model: Path, file: str) -> None:
    (model / file).unlink(missing_ok=True)
    os.mkfifo(model / file)
    with pytest.raises(SourceError, match=f"{file} is a pipe, a device or a socket: put a file "):
        resolve(str(model))


def test_adapter(model: Path) -> None:
    (model / "adapter_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(SourceError, match=r"has an adapter \(adapter_config\.json\)"):
        resolve(str(model))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
FILES = [
    "modules.json",
    "config.json",
    "1_Pooling/config.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "tokenizer_config.json",
    "tokenizer.json",
]
FIELDS: dict[str, dict[str, Any]] = {
    "1_Pooling/config.json": {"include_prompt": True},
    "sentence_bert_config.json": {"do_lower_case": True, "model_args": {}},
    "config_sentence_transformers.json": {
        "prompts": {"query": ""},
        "default_prompt_name": "query",
        "similarity_fn_name": "cosine",
        "truncate_dim": 32,
    },
}
"""Fields that the tiny model's files lack, and that are read."""


def mutations(data: Any) -> st.SearchStrategy[Any]:
    """`data` with one value, at any depth, replaced or removed."""
    if isinstance(data, dict) and data:
        return st.sampled_from(sorted(data)).flatmap(
            lambda key: (
                st.just({name: value for name, value in data.items() if name != key})
                | mutations(data[key]).map(lambda value: {**data, key: value})
            )
        )
    if isinstance(data, list) and data:
        return st.integers(0, len(data) - 1).flatmap(
            lambda place: mutations(data[place]).map(
                lambda value: [*data[:place], value, *data[place + 1 :]]
            )
        )
    return json_values


@pytest.mark.parametrize("file", FILES)
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_only_source_errors_come_out(model: Path, file: str, data: st.DataObject) -> None:
    for name, fields in FIELDS.items():
        at = model / name
        at.write_text(json.dumps((json.loads(at.read_text()) if at.exists() else {}) | fields))
    path = model / file
    original = path.read_text("utf-8")
    changed = data.draw(mutations(json.loads(original)) | json_values)
    path.write_text(json.dumps(changed), encoding="utf-8")
    try:
        resolve(str(model))
    except SourceError as error:
        assert str(error)  # noqa: PT017 - a model that is still right is accepted
    finally:
        path.write_text(original, encoding="utf-8")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
@pytest.mark.parametrize("file", FILES)
def test_files_that_are_not_json(model: Path, file: str, content: bytes) -> None:
    (model / file).write_bytes(content)
    with pytest.raises(SourceError, match="cannot read"):
        resolve(str(model))
