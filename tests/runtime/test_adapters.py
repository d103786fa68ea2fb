"""The names by which others call an encoder, called by them."""

import asyncio
import json
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minilm.runtime import Encoder, load
from minilm.runtime.errors import InvalidArtifact, TextTypeError, UsageError

TEXTS = ["The cat sleeps.", "Rates were raised.", "It will rain tomorrow."]
QUESTION = "weather forecast"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def chroma(tmp_path: Path, offline: None) -> Iterator[Any]:
    """A client of Chroma that keeps its collections in memory and tells nobody."""
    with warnings.catch_warnings():
        # Chroma's own, at its import; those at its use are errors, as everywhere.
        warnings.simplefilter("ignore", DeprecationWarning)
        import chromadb
        from chromadb.config import Settings
    client = chromadb.EphemeralClient(Settings(anonymized_telemetry=False, allow_reset=True))
    client.reset()
    yield client
    client.reset()


@pytest.mark.usefixtures("offline")
class TestLangChain:
    def test_it_finds_what_it_stored(self, encoder: Encoder) -> None:
        from langchain_core.vectorstores import InMemoryVectorStore

        store = InMemoryVectorStore(encoder)  # type: ignore[arg-type]  # by its methods, no base
        store.add_texts(TEXTS)
        (found,) = store.similarity_search(QUESTION, k=1)
        assert found.page_content == TEXTS[2]
        ((best, score), *_) = store.similarity_search_with_score(QUESTION, k=3)
        assert best.page_content == TEXTS[2]
        assert score == pytest.approx(float(encoder.similarity(QUESTION, TEXTS[2])[0, 0]), abs=1e-5)

    def test_asynchronously_too(self, encoder: Encoder) -> None:
        from langchain_core.vectorstores import InMemoryVectorStore

        async def search() -> str:
            store = InMemoryVectorStore(encoder)  # type: ignore[arg-type]  # as above
            await store.aadd_texts(TEXTS)
            (found,) = await store.asimilarity_search(QUESTION, k=1)
            return str(found.page_content)

        assert asyncio.run(search()) == TEXTS[2]

    def test_it_has_every_method_of_the_interface(self, tiny: Encoder) -> None:
        from langchain_core.embeddings import Embeddings

        public = [name for name in vars(Embeddings) if not name.startswith("_")]
        assert len(public) == 4
        assert all(callable(getattr(tiny, name)) for name in public)

    def test_vectors_are_plain_lists(self, tiny: Encoder) -> None:
        documents = tiny.embed_documents(["a", "b"])
        assert [len(vector) for vector in documents] == [32, 32]
        query = tiny.embed_query("b")
        assert type(documents[0][0]) is type(query[0]) is float
        np.testing.assert_allclose(query, documents[1], atol=1e-6)


class TestChroma:
    def test_it_finds_what_it_stored(self, chroma: Any, encoder: Encoder) -> None:
        collection = chroma.create_collection("texts", embedding_function=encoder)
        collection.add(ids=["cat", "bank", "rain"], documents=TEXTS)
        found = collection.query(query_texts=[QUESTION, "a kitten"], n_results=1)
        assert found["ids"] == [["rain"], ["cat"]]
        cosine = float(encoder.similarity(QUESTION, TEXTS[2])[0, 0])
        assert found["distances"][0][0] == pytest.approx(1 - cosine, abs=1e-5)
        stored = collection.get(ids=["cat"], include=["embeddings"])["embeddings"]
        np.testing.assert_allclose(stored[0], encoder.encode(TEXTS[0]), atol=1e-6)

    def test_the_space_is_cosine_unless_another_is_asked_for(
        self, chroma: Any, tiny: Encoder
    ) -> None:
        plain = chroma.create_collection("plain", embedding_function=tiny)
        assert plain.configuration["hnsw"]["space"] == "cosine"
        asked = chroma.create_collection(
            "asked", embedding_function=tiny, configuration={"hnsw": {"space": "ip"}}
        )
        assert asked.configuration["hnsw"]["space"] == "ip"

    def test_a_collection_is_opened_again(self, chroma: Any, tiny: Encoder) -> None:
        chroma.create_collection("texts", embedding_function=tiny).add(ids=["a"], documents=["a"])
        given = chroma.get_collection("texts", embedding_function=tiny)
        assert given.query(query_texts=["a"], n_results=1)["ids"] == [["a"]]
        built = chroma.get_collection("texts")  # Chroma loads it by what it kept
        assert built.query(query_texts=["a"], n_results=1)["ids"] == [["a"]]
        assert chroma.get_or_create_collection("texts", embedding_function=tiny).count() == 1

    def test_other_embeddings_are_refused(self, chroma: Any, tiny: Encoder) -> None:
        from chromadb.utils.embedding_functions import ONNXMiniLM_L6_V2

        chroma.create_collection("texts", embedding_function=tiny)
        with pytest.raises(ValueError, match=r"new: onnx_mini_lm_l6_v2 vs persisted: minilm-toolk"):
            chroma.get_collection("texts", embedding_function=ONNXMiniLM_L6_V2())

    def test_its_interface_is_met(self, tiny: Encoder) -> None:
        from chromadb.api.types import EmbeddingFunction, validate_embedding_function

        validate_embedding_function(tiny)  # type: ignore[arg-type]  # by its methods, no base
        public = {name for name in vars(EmbeddingFunction) if not name.startswith("_")}
        assert public - set(dir(tiny)) == {"embed_with_retries"}  # nobody but its own calls it

    def test_vectors_are_arrays(self, tiny: Encoder) -> None:
        vectors = tiny(input=["a", "b"])
        assert isinstance(vectors, list)
        assert all(vector.dtype == np.float32 for vector in vectors)
        np.testing.assert_allclose(np.stack(vectors), tiny.encode(["a", "b"]), atol=1e-6)
        np.testing.assert_allclose(tiny.embed_query(input=["a", "b"]), vectors, atol=1e-6)

    def test_one_text_gives_one_vector(self, tiny: Encoder) -> None:
        """LangChain's stores call what is no instance of their class with one text."""
        assert tiny("a single text") == tiny.embed_query("a single text")

    def test_what_it_keeps_gives_the_encoder_back(self, tiny_bundle: Path, tmp_path: Path) -> None:
        with load(
            tiny_bundle, target="openvino", threads=1, on_long="mean", cache_dir=tmp_path
        ) as encoder:
            config = encoder.get_config()
            assert json.loads(json.dumps(config)) == config
            with Encoder.build_from_config(config) as other:
                assert other.get_config() == config
                assert other.variant == encoder.variant
                assert other.options.on_long == "mean"

    def test_another_model_at_its_path_is_refused(self, tiny: Encoder) -> None:
        config = {**tiny.get_config(), "weights_sha256": "0" * 64}
        with pytest.raises(InvalidArtifact, match=r" is of another model than the collection's: "):
            Encoder.build_from_config(config)
        with pytest.raises(UsageError, match="embed the documents again"):
            Encoder.validate_config_update(config, tiny.get_config())
        Encoder.validate_config_update(tiny.get_config(), {**tiny.get_config(), "threads": 7})
        with pytest.raises(UsageError, match=r"lacks 'path': \{\}$"):
            Encoder.build_from_config({})


def test_embed_documents_of_one_str_is_refused(tiny: Encoder) -> None:
    with pytest.raises(TextTypeError, match=r"^embed_documents takes a list of texts, got one str"):
        tiny.embed_documents("abc")


def test_one_of_two_ways_to_call(tiny: Encoder) -> None:
    with pytest.raises(TextTypeError, match=r"one text or input=\[\.\.\.\], not both"):
        tiny.embed_query("a", input=["b"])  # type: ignore[call-overload]  # the point
    with pytest.raises(TextTypeError, match=r"^the text is None, expected str$"):
        tiny.embed_query()  # type: ignore[call-overload]  # the point


def test_neither_is_imported(tiny_bundle: Path) -> None:
    code = """
import sys
from minilm.runtime import load
encoder = load(sys.argv[1], target="cpu")
encoder.embed_query("a"), encoder(input=["a"]), encoder.get_config()
print(*sorted({"chromadb", "langchain_core", "asyncio"} & set(sys.modules)))
"""
    command = [sys.executable, "-c", code, str(tiny_bundle)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "\n"


def test_sentence_transformers_names(tiny: Encoder) -> None:
    vectors = tiny.encode(
        ["a", "b"], batch_size=1, show_progress_bar=True, normalize_embeddings=False
    )
    np.testing.assert_allclose(vectors, tiny.encode(["a", "b"]), atol=1e-6)
