"""An encoder as Haystack's embedders, of texts and of documents.

from minilm.runtime import load
from minilm.runtime.integrations.haystack import MiniLMDocumentEmbedder, MiniLMTextEmbedder

encoder = load("artifacts/all-MiniLM-L6-v2")
pipeline.add_component("embedder", MiniLMTextEmbedder(encoder))

Haystack reads a pipeline from a file only if its user trusts the modules that the file names:

    Pipeline.load(file, allowed_modules=["minilm.runtime.integrations.haystack"])
"""

from dataclasses import replace
from typing import Any

from haystack import Document, component, default_to_dict
from minilm.runtime import Encoder
from minilm.runtime.errors import TextTypeError

__all__ = ["MiniLMDocumentEmbedder", "MiniLMTextEmbedder"]


@component
class MiniLMTextEmbedder:
    """A component that embeds one text, as queries are.

    Attributes:
        encoder: The encoder that embeds.

    Args:
        encoder: a loaded encoder.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    @component.output_types(embedding=list[float])  # type: ignore[untyped-decorator]  # its types are not read here
    def run(self, text: str) -> dict[str, list[float]]:
        """Embed a text; raises what `Encoder.embed_query` raises.

        Returns:
            Its vector, as `embedding`.
        """
        return {"embedding": self.encoder.embed_query(text)}

    def to_dict(self) -> dict[str, Any]:
        """What a pipeline writes: the bundle and how it is loaded."""
        return _written(self, self.encoder)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "MiniLMTextEmbedder":
        """Load the encoder that `to_dict` described; raises as `Encoder.build_from_config`."""
        return cls(_encoder_of(data))


@component
class MiniLMDocumentEmbedder:
    """A component that embeds documents.

    Attributes:
        encoder: The encoder that embeds.

    Args:
        encoder: a loaded encoder.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    @component.output_types(documents=list[Document])  # type: ignore[untyped-decorator]  # its types are not read here
    def run(self, documents: list[Document]) -> dict[str, list[Document]]:
        """Embed documents; raises what `Encoder.embed_documents` raises.

        Returns:
            Copies of the documents with their vectors, as `documents`.

        Raises:
            TextTypeError: a document has no text.
        """
        for position, document in enumerate(documents):
            if document.content is None:
                raise TextTypeError(
                    f"documents[{position}] has no text, only other content: leave it out"
                )
        vectors = self.encoder.embed_documents([document.content for document in documents])
        embedded = [
            replace(document, embedding=vector)
            for document, vector in zip(documents, vectors, strict=True)
        ]
        return {"documents": embedded}

    def to_dict(self) -> dict[str, Any]:
        """What a pipeline writes: the bundle and how it is loaded."""
        return _written(self, self.encoder)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "MiniLMDocumentEmbedder":
        """Load the encoder that `to_dict` described; raises as `Encoder.build_from_config`."""
        return cls(_encoder_of(data))


def _written(embedder: object, encoder: Encoder) -> dict[str, Any]:
    data: dict[str, Any] = default_to_dict(embedder, encoder=encoder.get_config())
    return data


def _encoder_of(data: dict[str, Any]) -> Encoder:
    return Encoder.build_from_config(data["init_parameters"]["encoder"])
