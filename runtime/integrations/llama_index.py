"""An encoder as LlamaIndex's `BaseEmbedding`.

from minilm.runtime import load
from minilm.runtime.integrations.llama_index import MiniLMEmbedding

embedding = MiniLMEmbedding(load("artifacts/all-MiniLM-L6-v2"))
index = VectorStoreIndex.from_documents(documents, embed_model=embedding)
"""

from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr
from minilm.runtime import Encoder

__all__ = ["MiniLMEmbedding"]


class MiniLMEmbedding(BaseEmbedding):  # type: ignore[misc]  # its types are not read here
    """LlamaIndex's class over an encoder.

    Attributes:
        config: What builds the encoder again, as `Encoder.get_config` gives it.

    Args:
        encoder: a loaded encoder; None to load the one of `config`.
        options: fields of `BaseEmbedding`, and `config`.
    """

    config: dict[str, Any]
    _encoder: Encoder = PrivateAttr()

    def __init__(self, encoder: Encoder | None = None, **options: Any) -> None:
        config = options.pop("config", {})
        loaded = Encoder.build_from_config(config) if encoder is None else encoder
        model = {"model_name": loaded.manifest.model.id, **options}
        super().__init__(config=loaded.get_config(), **model)
        self._encoder = loaded

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex writes it."""
        return "MiniLMEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._encoder.embed_query(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._encoder.embed_query(text)

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._encoder.embed_documents(texts)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await self._encoder.aembed_query(query)

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await self._encoder.aembed_query(text)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await self._encoder.aembed_documents(texts)
