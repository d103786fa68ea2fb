"""An encoder as LangChain's `Embeddings`.

from minilm.runtime import load
from minilm.runtime.integrations.langchain import MiniLMEmbeddings

store = FAISS.from_texts(texts, MiniLMEmbeddings(load("artifacts/all-MiniLM-L6-v2")))
"""

from langchain_core.embeddings import Embeddings
from minilm.runtime import Encoder

__all__ = ["MiniLMEmbeddings"]


class MiniLMEmbeddings(Embeddings):
    """LangChain's class over an encoder, for stores that ask for an instance of it.

    Attributes:
        encoder: The encoder that embeds.

    Args:
        encoder: a loaded encoder.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of documents; raises what `Encoder.embed_documents` raises."""
        return self.encoder.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        """Vector of a query; raises what `Encoder.embed_query` raises."""
        return self.encoder.embed_query(text)
