"""The tokenizer's files of a bundle: the limit, and the original's ids whatever the text."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minilm.convert import Source, resolve
from minilm.pipeline.tokenizer_files import tokenizer_files, tokenizer_originals
from minilm.runtime.errors import SourceError
from tokenizers import Tokenizer

LIMIT = 256
WORDS = [
    "word",
    "Ünïcödé",
    "東京",
    "[MASK]",
    "[PAD]",
    "x" * 120,
    "don't",
    "\x00",
    "👩‍👧",
    " ",
    "\n",
]
TEXTS = st.text(max_size=400) | st.lists(st.sampled_from(WORDS), max_size=400).map(" ".join)


@pytest.fixture(scope="module")
def source() -> Source:
    """The default model."""
    return resolve()


@pytest.fixture(scope="module")
def adapted(source: Source) -> Any:
    """The bundle's tokenizer, used as its file says."""
    return Tokenizer.from_buffer(tokenizer_files(source)["tokenizer.json"])


@pytest.fixture(scope="module")
def original(source: Source) -> Any:
    """The original's tokenizer as sentence-transformers uses it."""
    tokenizer = Tokenizer.from_file(str(source.tokenizer))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LIMIT)
    return tokenizer


@given(text=TEXTS)
def test_ids_are_the_originals(text: str, adapted: Any, original: Any) -> None:
    assert adapted.encode(text).ids == original.encode(text).ids


@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
def test_a_batch_is_padded_to_its_longest(texts: list[str], adapted: Any, original: Any) -> None:
    rows = [original.encode(text).ids for text in texts]
    longest = max(map(len, rows))
    batch = adapted.encode_batch(texts)
    assert [encoding.ids for encoding in batch] == [
        [*row, *[0] * (longest - len(row))] for row in rows
    ]
    assert [sum(encoding.attention_mask) for encoding in batch] == [len(row) for row in rows]


def test_nothing_else_is_changed(source: Source) -> None:
    files = tokenizer_files(source)
    assert set(files) == {"tokenizer.json", "tokenizer_config.json"}
    before = json.loads(source.tokenizer.read_bytes())
    after = json.loads(files["tokenizer.json"])
    assert after.pop("truncation")["max_length"] == LIMIT
    assert after.pop("padding")["strategy"] == "BatchLongest"
    assert after == {key: before[key] for key in before if key not in {"truncation", "padding"}}
    settings = json.loads((source.layout.transformer / "tokenizer_config.json").read_bytes())
    assert json.loads(files["tokenizer_config.json"]) == {**settings, "model_max_length": LIMIT}


def test_transformers_cuts_where_the_original_does(source: Source, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    for name, content in tokenizer_files(source).items():
        (tmp_path / name).write_bytes(content)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer.model_max_length == LIMIT
    assert [len(ids) for ids in tokenizer(["a", "word " * 400], truncation=True)["input_ids"]] == [
        3,
        LIMIT,
    ]


def test_the_originals_are_named(source: Source) -> None:
    expected = {
        name: hashlib.sha256((source.layout.transformer / name).read_bytes()).hexdigest()
        for name in ("tokenizer.json", "tokenizer_config.json")
    }
    assert tokenizer_originals(source) == expected


def moved(source: Source, directory: Path) -> Source:
    """The source with files of its own to change."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(source.layout.transformer / name, directory)
    return replace(source, layout=replace(source.layout, transformer=directory))


def test_files_with_the_limit_are_kept_as_they_are(source: Source, tmp_path: Path) -> None:
    copy = moved(source, tmp_path)
    for name, content in tokenizer_files(source).items():
        (tmp_path / name).write_bytes(content + b"\n\n")
    assert tokenizer_originals(copy) == {}
    assert tokenizer_files(copy)["tokenizer.json"].endswith(b"\n\n")
    (tmp_path / "tokenizer_config.json").unlink()
    assert set(tokenizer_files(copy)) == {"tokenizer.json"}


@pytest.mark.parametrize("token", ["[PAD]", {"content": "[PAD]", "lstrip": False}, None])
def test_padding_where_the_file_has_none(token: object, source: Source, tmp_path: Path) -> None:
    copy = moved(source, tmp_path)
    edit(tmp_path / "tokenizer.json", padding=None, truncation=None)
    edit(tmp_path / "tokenizer_config.json", pad_token=token)
    data = json.loads(tokenizer_files(copy)["tokenizer.json"])
    assert (data["padding"]["pad_id"], data["padding"]["pad_token"]) == (0, "[PAD]")
    short, long = Tokenizer.from_str(json.dumps(data)).encode_batch(["a", "word " * 300])
    assert len(short.ids) == len(long.ids) == LIMIT


def test_no_token_to_pad_with(source: Source, tmp_path: Path) -> None:
    copy = moved(source, tmp_path)
    edit(tmp_path / "tokenizer.json", padding=None)
    edit(tmp_path / "tokenizer_config.json", pad_token="<none>")
    with pytest.raises(SourceError, match=r"tokenizer\.json has no token '<none>' to pad with$"):
        tokenizer_files(copy)


def edit(path: Path, **changes: object) -> None:
    data = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**data, **changes}), encoding="utf-8")
