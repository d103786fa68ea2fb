"""The classes for other frameworks, used by the frameworks themselves."""

import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from minilm.runtime import Encoder
from minilm.runtime.errors import TextTypeError

TEXTS = ["The cat sleeps.", "Rates were raised.", "It will rain tomorrow."]
QUESTION = "weather forecast"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No network, no telemetry, and no warnings of the frameworks' own imports."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("HAYSTACK_TELEMETRY_ENABLED", "False")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class TestLangChain:
    def test_stores_find_an_instance_of_their_class(self, encoder: Encoder) -> None:
        from langchain_core.embeddings import Embeddings
        from langchain_core.vectorstores import InMemoryVectorStore
        from minilm.runtime.integrations.langchain import MiniLMEmbeddings

        embeddings = MiniLMEmbeddings(encoder)
        assert isinstance(embeddings, Embeddings)
        store = InMemoryVectorStore(embeddings)
        store.add_texts(TEXTS)
        ((best, score),) = store.similarity_search_with_score(QUESTION, k=1)
        assert best.page_content == TEXTS[2]
        assert score == pytest.approx(float(encoder.similarity(QUESTION, TEXTS[2])[0, 0]), abs=1e-5)

    def test_it_refuses_what_the_encoder_refuses(self, tiny: Encoder) -> None:
        from minilm.runtime.integrations.langchain import MiniLMEmbeddings

        with pytest.raises(TextTypeError, match=r"^embed_documents takes a list of texts"):
            MiniLMEmbeddings(tiny).embed_documents("abc")  # type: ignore[arg-type]  # the point
        with pytest.raises(TextTypeError, match=r"^the text is None, expected str$"):
            MiniLMEmbeddings(tiny).embed_query(None)  # type: ignore[arg-type]  # the point


_REOPEN = """
import sys, warnings
warnings.simplefilter("ignore")
import chromadb
from chromadb.config import Settings
import minilm.runtime.integrations.chroma
client = chromadb.PersistentClient(sys.argv[1], Settings(anonymized_telemetry=False))
found = client.get_collection("texts").query(query_texts=["weather forecast"], n_results=1)
print(*found["ids"][0])
"""


class TestChroma:
    def test_a_collection_is_found_again_in_a_new_process(
        self, encoder: Encoder, tmp_path: Path
    ) -> None:
        import chromadb
        from chromadb.config import Settings
        from minilm.runtime.integrations.chroma import MiniLMEmbeddingFunction

        client = chromadb.PersistentClient(str(tmp_path), Settings(anonymized_telemetry=False))
        collection = client.create_collection(
            "texts",
            embedding_function=MiniLMEmbeddingFunction(encoder),
        )
        assert collection.configuration["hnsw"]["space"] == "cosine"  # type: ignore[index]
        collection.add(ids=["cat", "bank", "rain"], documents=TEXTS)
        stored = collection.get(ids=["cat"], include=["embeddings"])["embeddings"]
        assert stored is not None
        np.testing.assert_allclose(stored[0], encoder.encode(TEXTS[0]), atol=1e-6)
        command = [sys.executable, "-c", _REOPEN, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert (done.stdout, done.returncode) == ("rain\n", 0), done.stderr

    def test_an_encoder_opens_its_collections(self, tiny: Encoder) -> None:
        import chromadb
        from chromadb.config import Settings
        from minilm.runtime.integrations.chroma import MiniLMEmbeddingFunction

        client = chromadb.EphemeralClient(Settings(anonymized_telemetry=False, allow_reset=True))
        client.reset()
        function = MiniLMEmbeddingFunction(tiny)
        client.create_collection("texts", embedding_function=function).add(
            ids=["a", "b"], documents=["a", "the rain"]
        )
        opened = client.get_collection("texts", embedding_function=tiny)  # type: ignore[arg-type]
        assert opened.query(query_texts=["the rain"], n_results=1)["ids"] == [["b"]]
        client.reset()

    def test_an_image_is_refused(self, tiny: Encoder) -> None:
        from minilm.runtime.integrations.chroma import MiniLMEmbeddingFunction

        with pytest.raises(TextTypeError, match=r"^texts\[0\] is ndarray, expected str$"):
            MiniLMEmbeddingFunction(tiny)([cast("Any", np.zeros((2, 2)))])


class TestLlamaIndex:
    def test_it_embeds_queries_and_texts(self, tiny: Encoder) -> None:
        import asyncio

        from minilm.runtime.integrations.llama_index import MiniLMEmbedding

        embedding = MiniLMEmbedding(tiny, embed_batch_size=2)
        vectors = embedding.get_text_embedding_batch(TEXTS)
        np.testing.assert_allclose(vectors, tiny.encode(TEXTS), atol=1e-6)
        np.testing.assert_allclose(embedding.get_query_embedding(TEXTS[0]), vectors[0], atol=1e-6)
        np.testing.assert_allclose(embedding.get_text_embedding(TEXTS[0]), vectors[0], atol=1e-6)

        async def ask() -> tuple[Any, Any]:
            return (
                await embedding.aget_query_embedding(TEXTS[1]),
                await embedding.aget_text_embedding_batch(TEXTS),
            )

        query, texts = asyncio.run(ask())
        np.testing.assert_allclose(query, vectors[1], atol=1e-6)
        np.testing.assert_allclose(texts, vectors, atol=1e-6)

    def test_what_it_writes_builds_it_again(self, tiny: Encoder) -> None:
        from minilm.runtime.integrations.llama_index import MiniLMEmbedding

        embedding = MiniLMEmbedding(tiny, embed_batch_size=7)
        again = MiniLMEmbedding.from_json(embedding.to_json())
        assert (again.model_name, again.embed_batch_size) == ("tiny-bert", 7)
        assert again.get_query_embedding("a") == pytest.approx(tiny.embed_query("a"), abs=1e-6)

    def test_an_index_finds_a_text(self, encoder: Encoder) -> None:
        from llama_index.core.schema import TextNode
        from llama_index.core.vector_stores import SimpleVectorStore, VectorStoreQuery
        from minilm.runtime.integrations.llama_index import MiniLMEmbedding

        embedding = MiniLMEmbedding(encoder)
        store = SimpleVectorStore()
        store.add(embedding([TextNode(id_=text, text=text) for text in TEXTS]))
        query = VectorStoreQuery(embedding.get_query_embedding(QUESTION), similarity_top_k=1)
        assert store.query(query).ids == [TEXTS[2]]


class TestHaystack:
    def test_a_pipeline_finds_a_document_and_is_written_and_read(self, encoder: Encoder) -> None:
        from haystack import Document, Pipeline
        from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
        from haystack.document_stores.in_memory import InMemoryDocumentStore
        from minilm.runtime.integrations.haystack import MiniLMDocumentEmbedder, MiniLMTextEmbedder

        store = InMemoryDocumentStore(embedding_similarity_function="cosine")
        documents = [Document(content=text) for text in TEXTS]
        embedded = MiniLMDocumentEmbedder(encoder).run(documents)["documents"]
        assert [document.embedding for document in documents] == [None] * 3
        np.testing.assert_allclose(
            [document.embedding for document in embedded], encoder.encode(TEXTS), atol=1e-6
        )
        store.write_documents(embedded)
        pipeline = Pipeline()
        pipeline.add_component("embedder", MiniLMTextEmbedder(encoder))
        pipeline.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=1))
        pipeline.connect("embedder.embedding", "retriever.query_embedding")
        found = pipeline.run({"embedder": {"text": QUESTION}})["retriever"]["documents"]
        assert [document.content for document in found] == [TEXTS[2]]

    @pytest.mark.parametrize("name", ["MiniLMTextEmbedder", "MiniLMDocumentEmbedder"])
    def test_what_a_pipeline_writes_builds_it_again(self, name: str, tiny: Encoder) -> None:
        from haystack import Pipeline
        from minilm.runtime.integrations import haystack

        pipeline = Pipeline()
        pipeline.add_component("embedder", getattr(haystack, name)(tiny))
        read = Pipeline.loads(pipeline.dumps(), allowed_modules=[haystack.__name__])
        again = read.get_component("embedder")
        assert type(again) is getattr(haystack, name)
        assert again.encoder.get_config() == tiny.get_config()

    def test_a_document_without_text_is_refused(self, tiny: Encoder) -> None:
        from haystack import Document
        from minilm.runtime.integrations.haystack import MiniLMDocumentEmbedder

        documents = [Document(content="a"), Document(meta={"only": "meta"})]
        with pytest.raises(TextTypeError, match=r"^documents\[1\] has no text, .*: leave it out$"):
            MiniLMDocumentEmbedder(tiny).run(documents)
