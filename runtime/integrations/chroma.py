"""An encoder as Chroma's `EmbeddingFunction`.

    from minilm.runtime import load
    from minilm.runtime.integrations.chroma import MiniLMEmbeddingFunction

    function = MiniLMEmbeddingFunction(load("artifacts/all-MiniLM-L6-v2"))
    collection = client.create_collection("texts", embedding_function=function)

Chroma keeps beside a collection what builds its function again. In another process,
`client.get_collection("texts")` finds it once this module is imported, which registers it. The name
that it is kept under is an `Encoder`'s, so that either opens the other's collections.
"""

from typing import Any

from chromadb import EmbeddingFunction, Embeddings
from chromadb.api.types import Embeddable, Space
from chromadb.utils.embedding_functions import register_embedding_function
from minilm.runtime import Encoder
from minilm.runtime.text.inputs import validate_texts

__all__ = ["MiniLMEmbeddingFunction"]


@register_embedding_function
class MiniLMEmbeddingFunction(EmbeddingFunction[Embeddable]):
    """Chroma's class over an encoder.

    Attributes:
        encoder: The encoder that embeds.

    Args:
        encoder: a loaded encoder.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def __call__(self, input: Embeddable) -> Embeddings:  # noqa: A002 - Chroma's name
        """Vectors of texts: float32 arrays of (dimension,).

        Raises:
            TextTypeError: something that is not a text, as an image; else as `Encoder.encode`.
        """
        return list(self.encoder.encode(validate_texts(input)))

    @staticmethod
    def name() -> str:
        """What Chroma writes beside a collection."""
        return Encoder.name()

    def is_legacy(self) -> bool:
        """False: Chroma's own way to find out loads the bundle again."""
        return Encoder.is_legacy()

    def default_space(self) -> Space:
        """The distance that the model was trained for."""
        return "cosine"

    def get_config(self) -> dict[str, Any]:
        """What `build_from_config` needs, as JSON has it."""
        return self.encoder.get_config()

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> "MiniLMEmbeddingFunction":
        """Load the encoder that `get_config` described; raises as `Encoder.build_from_config`."""
        return MiniLMEmbeddingFunction(Encoder.build_from_config(config))

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        """Raise `UsageError` unless `config` has what `build_from_config` needs."""
        Encoder.validate_config(config)

    def validate_config_update(
        self, old_config: dict[str, Any], new_config: dict[str, Any]
    ) -> None:
        """Raise `UsageError` if the new encoder's model is not that of the collection's vectors."""
        Encoder.validate_config_update(old_config, new_config)
