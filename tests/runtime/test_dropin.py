"""The names by which others call an encoder."""

import numpy as np
import pytest
from minilm.runtime import Encoder

langchain = pytest.importorskip("langchain_core.embeddings")
vectorstores = pytest.importorskip("langchain_core.vectorstores")


def test_langchain_finds_what_it_stored(encoder: Encoder) -> None:
    store = vectorstores.InMemoryVectorStore(encoder)
    store.add_texts(["The cat sleeps.", "Rates were raised.", "It will rain tomorrow."])
    (found,) = store.similarity_search("weather forecast", k=1)
    assert found.page_content == "It will rain tomorrow."


def test_langchains_interface(tiny: Encoder) -> None:
    for name in ("embed_documents", "embed_query"):
        assert callable(getattr(langchain.Embeddings, name))
    documents = tiny.embed_documents(["a", "b"])
    assert [len(vector) for vector in documents] == [32, 32]
    assert type(documents[0][0]) is float
    np.testing.assert_allclose(tiny.embed_query("b"), documents[1], atol=1e-6)


def test_chromas_interface(tiny: Encoder) -> None:
    vectors = tiny(input=["a", "b"])
    assert isinstance(vectors, list)
    assert all(vector.dtype == np.float32 for vector in vectors)
    np.testing.assert_allclose(np.stack(vectors), tiny.encode(["a", "b"]), atol=1e-6)
    assert len(tiny(input="a single text")) == 1


def test_sentence_transformers_names(tiny: Encoder) -> None:
    vectors = tiny.encode(
        ["a", "b"], batch_size=1, show_progress_bar=True, normalize_embeddings=False
    )
    np.testing.assert_allclose(vectors, tiny.encode(["a", "b"]), atol=1e-6)
