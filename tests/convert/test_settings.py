"""Settings of a source that change its vectors: as the original reads them, or refused by name."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from minilm.convert import resolve
from minilm.runtime.errors import SourceError

from tests.support.cli import run_toolkit
from tests.support.tiny_model import MAX_TOKENS

POSITIONS = 2 * MAX_TOKENS


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model to change."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def edit(path: Path, **fields: Any) -> None:
    """Change fields of a JSON file; None removes one."""
    data = json.loads(path.read_text("utf-8")) if path.exists() else {}
    data |= fields
    kept = {name: value for name, value in data.items() if value is not None}
    path.write_text(json.dumps(kept), encoding="utf-8")


def original_limit(model: Path) -> int:
    from sentence_transformers import SentenceTransformer

    limit: int = SentenceTransformer(str(model), device="cpu").max_seq_length
    return limit


@pytest.mark.parametrize(
    ("tokenizer", "expected"),
    [
        ({"model_max_length": 50}, 50),
        ({"model_max_length": 1000}, POSITIONS),
        ({"model_max_length": 10**30}, POSITIONS),
        ({"model_max_length": 1e30}, POSITIONS),
        ({"model_max_length": None, "max_len": 40}, 40),
        ({"model_max_length": None}, POSITIONS),
    ],
)
def test_limit_without_max_seq_length(
    model: Path, tokenizer: dict[str, Any], expected: int
) -> None:
    edit(model / "sentence_bert_config.json", max_seq_length=None)
    edit(model / "tokenizer_config.json", **tokenizer)
    assert resolve(str(model)).config.max_tokens == expected == original_limit(model)


def test_limit_without_settings_of_the_transformer(model: Path) -> None:
    (model / "sentence_bert_config.json").unlink()
    assert resolve(str(model)).config.max_tokens == MAX_TOKENS == original_limit(model)


def test_limit_without_settings_and_tokenizer_config(model: Path) -> None:
    (model / "sentence_bert_config.json").unlink()
    (model / "tokenizer_config.json").unlink()
    assert resolve(str(model)).config.max_tokens == POSITIONS == original_limit(model)


def test_limit_in_an_older_settings_file(model: Path) -> None:
    settings = model / "sentence_bert_config.json"
    settings.rename(model / "sentence_distilbert_config.json")
    edit(model / "sentence_distilbert_config.json", max_seq_length=33)
    assert resolve(str(model)).config.max_tokens == 33 == original_limit(model)


@pytest.mark.parametrize("limit", [0, -1, True, "64", 1.5, [64]])
@pytest.mark.parametrize(
    ("file", "field"),
    [
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
    ],
)
def test_limit_that_is_not_a_number_of_tokens(
    model: Path, file: str, field: str, limit: Any
) -> None:
    edit(model / "sentence_bert_config.json", max_seq_length=None)
    edit(model / file, **{field: limit})
    with pytest.raises(SourceError, match=rf"{file} has {field} .*, expected a whole number"):
        resolve(str(model))


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (
        "config_sentence_transformers.json",
        {"prompts": {"query": "query: "}, "default_prompt_name": "query"},
        "sets default_prompt_name to 'query', so that every text gets the prompt 'query: '",
    ),
    (
        "config_sentence_transformers.json",
        {"default_prompt_name": "missing"},
        "sets default_prompt_name to 'missing'",
    ),
    (
        "config_sentence_transformers.json",
        {"default_prompt_name": ["query"]},
        "sets default_prompt_name to ['query']",
    ),
    ("config_sentence_transformers.json", {"prompts": ["query: "]}, "has prompts"),
    (
        "config_sentence_transformers.json",
        {"truncate_dim": 16},
        "sets truncate_dim to 16: supported is 32",
    ),
    (
        "config_sentence_transformers.json",
        {"similarity_fn_name": "euclidean"},
        "sets similarity_fn_name to 'euclidean': supported is 'cosine' or 'dot'",
    ),
    (
        "config_sentence_transformers.json",
        {"model_type": "SparseEncoder"},
        "sets model_type to 'SparseEncoder': supported is 'SentenceTransformer'",
    ),
    ("1_Pooling/config.json", {"include_prompt": False}, "sets include_prompt to False"),
    ("sentence_bert_config.json", {"unpad_inputs": True}, "sets unpad_inputs to True"),
    (
        "sentence_bert_config.json",
        {"processing_kwargs": {"text": {"max_length": 8}}},
        "sets processing_kwargs to",
    ),
    ("sentence_bert_config.json", {"new": 1}, "sets new to 1: not supported"),
    (
        "sentence_bert_config.json",
        {"transformer_task": "fill-mask"},
        "sets transformer_task to 'fill-mask': supported is 'feature-extraction'",
    ),
    (
        "tokenizer_config.json",
        {"do_lower_case": False},
        "sets do_lower_case to False, but the normalizer of",
    ),
    ("tokenizer_config.json", {"strip_accents": False}, "sets strip_accents to False, but"),
    (
        "tokenizer_config.json",
        {"tokenize_chinese_chars": False},
        "sets tokenize_chinese_chars to False, but",
    ),
]


@pytest.mark.parametrize(("file", "fields", "message"), REFUSED)
def test_setting_is_refused_by_name(
    model: Path, file: str, fields: dict[str, Any], message: str
) -> None:
    edit(model / file, **fields)
    with pytest.raises(SourceError) as caught:
        resolve(str(model))
    assert f"{model / file} {message}" in str(caught.value)


def lower_case_of_a_cased_tokenizer(model: Path) -> None:
    tokenizer = json.loads((model / "tokenizer.json").read_text("utf-8"))
    tokenizer["normalizer"]["lowercase"] = False
    (model / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    edit(model / "tokenizer_config.json", do_lower_case=False)
    assert resolve(str(model)).config.max_tokens == MAX_TOKENS
    edit(model / "sentence_bert_config.json", do_lower_case=True)


def test_lower_case_of_a_cased_tokenizer(model: Path) -> None:
    lower_case_of_a_cased_tokenizer(model)
    with pytest.raises(
        SourceError, match=r"sentence_bert_config.json sets do_lower_case to True, but .* keeps"
    ):
        resolve(str(model))


@pytest.mark.parametrize("options", [(), ("--no-verify",)])
def test_refusal_comes_before_the_build(
    model: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    edit(model / "config_sentence_transformers.json", truncate_dim=16)
    done = run_toolkit("build", "--model", model, "--output", tmp_path / "bundle", *options)
    assert done.returncode == 5, done.stderr
    assert "sets truncate_dim to 16" in done.stderr
    assert not list(tmp_path.glob("*bundle*"))


@pytest.mark.parametrize(
    ("file", "fields"),
    [
        ("config_sentence_transformers.json", {"prompts": {"query": "", "document": ""}}),
        ("config_sentence_transformers.json", {"prompts": {"query": "query: "}}),
        (
            "config_sentence_transformers.json",
            {"prompts": {"query": ""}, "default_prompt_name": "query"},
        ),
        ("config_sentence_transformers.json", {"similarity_fn_name": "dot"}),
        ("config_sentence_transformers.json", {"truncate_dim": 32}),
        ("sentence_bert_config.json", {"do_lower_case": True}),
        ("1_Pooling/config.json", {"include_prompt": True}),
    ],
)
def test_setting_that_changes_nothing_is_accepted(
    model: Path, file: str, fields: dict[str, Any]
) -> None:
    edit(model / file, **fields)
    assert resolve(str(model)).config.max_tokens == MAX_TOKENS
