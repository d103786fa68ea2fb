"""Prompts: what sentence-transformers gives for them, from a bundle."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minilm.pipeline import BuildOptions, build
from minilm.runtime import Encoder, load
from minilm.runtime.errors import InvalidArtifact, TextTypeError, UsageError
from minilm.runtime.integrity import read_file
from minilm.runtime.manifest import read
from minilm.runtime.prompts import choose_prompt, read_prompts

FILE = "config_sentence_transformers.json"
PROMPTS = {"query": "find: ", "document": "text: ", "empty": ""}
TEXTS = ["a cat", "  the cat sat on the mat with 7 hats ", ""]


@pytest.fixture(scope="module")
def model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("prompted") / "tiny-bert"
    shutil.copytree(tiny_model, copy)
    (copy / FILE).write_text(json.dumps({"prompts": PROMPTS}), encoding="utf-8")
    return copy


@pytest.fixture(scope="module")
def prompted(model: Path, tiny_cache: Path) -> Path:
    """A bundle of a model with prompts."""
    output = model.parent / "bundle"
    options = BuildOptions(
        model=str(model), output=output, cache_dir=tiny_cache, variants=("cpu/fp32",), verify=False
    )
    build(options)
    return output


@pytest.fixture(scope="module")
def encoder(prompted: Path) -> Encoder:
    return load(prompted)


@pytest.fixture(scope="module")
def original(model: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(model), device="cpu")


def test_prompts_of_the_bundle(encoder: Encoder) -> None:
    assert encoder.prompts == PROMPTS


@pytest.mark.parametrize(
    "options",
    [{}, {"prompt": "say: "}, {"prompt": ""}, {"prompt_name": "query"}, {"prompt_name": "empty"}],
)
def test_encode_matches_the_original(
    encoder: Encoder, original: Any, options: dict[str, Any]
) -> None:
    expected = original.encode(TEXTS, **options)
    np.testing.assert_allclose(encoder.encode(TEXTS, **options), expected, atol=2e-6)
    np.testing.assert_allclose(encoder.encode(TEXTS[0], **options), expected[0], atol=2e-6)
    (block,) = encoder.iter_encode(iter(TEXTS), **options)
    np.testing.assert_allclose(block, expected, atol=2e-6)


@pytest.mark.parametrize("method", ["encode_query", "encode_document"])
@pytest.mark.parametrize("options", [{}, {"prompt": "say: "}, {"prompt_name": "empty"}])
def test_queries_and_documents_match_the_original(
    encoder: Encoder, original: Any, method: str, options: dict[str, Any]
) -> None:
    expected = getattr(original, method)(TEXTS, **options)
    found = getattr(encoder, method)(TEXTS, **options)
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_prompt_changes_the_vectors(encoder: Encoder) -> None:
    plain, asked = encoder.encode(TEXTS[:1]), encoder.encode_query(TEXTS[:1])
    assert float((plain * asked).sum()) < 0.9999
    np.testing.assert_array_equal(asked, encoder.encode([PROMPTS["query"] + TEXTS[0]]))


def test_tokens_of_a_prompt_count(encoder: Encoder) -> None:
    text = " ".join(["a"] * (encoder.max_tokens - 2))
    encoder.encode([text], on_long="error")
    with pytest.raises(UsageError, match=r"texts\[0\]"):
        encoder.encode([text], on_long="error", prompt="b ")


def test_model_without_prompts(tiny_bundle: Path) -> None:
    encoder = load(tiny_bundle, target="cpu", precision="fp32")
    assert encoder.prompts == {"query": "", "document": ""}
    np.testing.assert_array_equal(encoder.encode_query(TEXTS), encoder.encode(TEXTS))
    np.testing.assert_array_equal(encoder.encode_document(TEXTS), encoder.encode(TEXTS))
    with pytest.raises(UsageError, match="no prompt 'reply'; it has: document, query;"):
        encoder.encode(TEXTS, prompt_name="reply")


def test_wrong_arguments(encoder: Encoder) -> None:
    with pytest.raises(UsageError, match="no prompt 'reply'; it has: document, empty, query"):
        encoder.encode(TEXTS, prompt_name="reply")
    with pytest.raises(UsageError, match="give prompt or prompt_name, not both"):
        encoder.encode(TEXTS, prompt="x", prompt_name="query")
    with pytest.raises(TextTypeError, match="the prompt is int"):
        encoder.encode(TEXTS, prompt=7)  # type: ignore[call-overload]  # what a caller may do
    with pytest.raises(UsageError, match="the prompt has a lone surrogate"):
        choose_prompt({}, "\ud800", None)


def test_pickled_encoder_has_prompts(encoder: Encoder) -> None:
    again = pickle.loads(pickle.dumps(encoder))
    assert again.prompts == PROMPTS


def test_prompts_are_checked_when_they_are_read(prompted: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(prompted, tmp_path / "bundle"))
    encoder = load(copy)
    (copy / FILE).write_bytes(read_file(copy, read(copy), FILE, "full").replace(b"find", b"kind"))
    with pytest.raises(InvalidArtifact, match=f"{FILE} was altered"):
        encoder.encode_query("a cat")
    (copy / FILE).unlink()
    with pytest.raises(InvalidArtifact, match=f"{FILE} is missing"):
        encoder.encode("a cat", prompt_name="query")
    assert encoder.encode("a cat").shape == (encoder.dimension,)


@pytest.mark.parametrize("content", [b"[]", b"{", b'{"prompts": [1]}', b'{"prompts": {"a": 1}}'])
def test_prompts_that_are_not_understood(prompted: Path, tmp_path: Path, content: bytes) -> None:
    copy = Path(shutil.copytree(prompted, tmp_path / "bundle"))
    (copy / FILE).write_bytes(content)
    with pytest.raises(InvalidArtifact, match=FILE):
        read_prompts(copy, read(copy), "none")
