"""The names by which LangChain and Chroma call an encoder. Neither is imported.

LangChain asks for `embed_documents` and `embed_query(text)`. Chroma calls the object itself and
`embed_query(input=[...])`, and keeps beside a collection what `name` and `get_config` say, so that
it can refuse other embeddings later and build these again.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Final, Self, cast, overload

import numpy as np
import numpy.typing as npt
from minilm.runtime.errors import InvalidArtifact, TextTypeError, UsageError
from minilm.runtime.manifest import Manifest
from minilm.runtime.options import LoadOptions
from minilm.runtime.text.inputs import check_text

__all__ = ["FrameworkAdapters"]

Vectors = npt.NDArray[np.float32]

_NAME: Final = "minilm-toolkit"
_WEIGHTS: Final = "weights_sha256"


class FrameworkAdapters(ABC):
    """The part of an `Encoder` that other libraries call.

    Attributes:
        manifest: Manifest of the bundle.
        options: Arguments of `load` that gave the encoder.
    """

    __slots__ = ()

    manifest: Manifest
    options: LoadOptions

    @abstractmethod
    def encode(self, texts: str | Iterable[str]) -> Vectors:
        """Embed one text or several: float32, (texts, dimension), or (dimension,) for a str."""

    @abstractmethod
    def close(self) -> None:
        """Release the graph."""

    def embed_documents(self, texts: Iterable[str]) -> list[list[float]]:
        """LangChain's name for `encode`: a list of vectors.

        Raises:
            TextTypeError: `texts` is one str, whose vector would be no list; else as `encode`.
        """
        if isinstance(texts, str):
            raise TextTypeError(
                "embed_documents takes a list of texts, got one str: put it in a list, or call "
                "embed_query"
            )
        vectors: list[list[float]] = self.encode(texts).tolist()
        return vectors

    @overload
    def embed_query(self, text: str) -> list[float]: ...

    @overload
    def embed_query(self, *, input: Iterable[str]) -> list[Vectors]: ...

    def embed_query(
        self,
        text: str | None = None,
        *,
        input: Iterable[str] | None = None,  # noqa: A002 - Chroma's name
    ) -> list[float] | list[Vectors]:
        """The vector of one text, as LangChain calls it; of several as `input`, as Chroma does.

        Raises:
            TextTypeError: not a str, or both or none of the two; else as `encode`.
        """
        if input is not None:
            if text is not None:
                raise TextTypeError("embed_query takes one text or input=[...], not both")
            return self(input)
        check_text(text, "the text")
        assert text is not None  # or it was refused just now
        vector: list[float] = self.encode(text).tolist()
        return vector

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """`embed_documents` on a thread of its own, for LangChain's asynchronous calls."""
        from asyncio import to_thread

        return await to_thread(self.embed_documents, texts)

    async def aembed_query(self, text: str) -> list[float]:
        """`embed_query` on a thread of its own, for LangChain's asynchronous calls."""
        from asyncio import to_thread

        return await to_thread(self.embed_query, text)

    @overload
    def __call__(self, input: str) -> list[float]: ...  # type: ignore[overload-overlap]  # a str is no list of texts here

    @overload
    def __call__(self, input: Iterable[str]) -> list[Vectors]: ...

    def __call__(
        self,
        input: str | Iterable[str],  # noqa: A002 - Chroma's name
    ) -> list[float] | list[Vectors]:
        """Chroma's name for `encode`: a list of arrays; of one str what `embed_query` gives.

        LangChain's stores call an object with one text if it is not an instance of their class.
        """
        return self.embed_query(input) if isinstance(input, str) else list(self.encode(input))

    @staticmethod
    def name() -> str:
        """What Chroma writes beside a collection, and compares when it opens one."""
        return _NAME

    @staticmethod
    def is_legacy() -> bool:
        """False: Chroma may keep `get_config` and build the encoder from it."""
        return False

    @staticmethod
    def default_space() -> str:
        """Chroma's word for the distance that the model was trained for."""
        return "cosine"

    @staticmethod
    def supported_spaces() -> list[str]:
        """Distances that rank vectors of unit length alike: all that Chroma has."""
        return ["cosine", "l2", "ip"]

    def get_config(self) -> dict[str, Any]:
        """What `build_from_config` needs, as JSON has it: arguments of `load`, and the model.

        The path is absolute. Give the encoder to `get_collection` too, and Chroma does not look
        for the bundle there, nor load it a second time.
        """
        chosen = {"path": self.options.path, **self.options.arguments()}
        config = {
            name: value if isinstance(value, int) else str(value)
            for name, value in chosen.items()
            if value is not None
        }
        return {**config, _WEIGHTS: self.manifest.model.weights_sha256}

    @classmethod
    def build_from_config(cls, config: dict[str, Any]) -> Self:
        """Load the encoder that `get_config` described.

        Raises:
            UsageError: `config` is none that `get_config` gave.
            InvalidArtifact: a bundle of another model stands there now; else as `load`.
        """
        from minilm.runtime import load

        cls.validate_config(config)
        arguments = {name: value for name, value in config.items() if name != _WEIGHTS}
        encoder = cast("Self", load(**arguments))
        if encoder.manifest.model.weights_sha256 != config[_WEIGHTS]:
            encoder.close()
            raise InvalidArtifact(
                f"the bundle at {config['path']} is of another model than the collection's: its "
                f"weights are {encoder.manifest.model.weights_sha256}, not {config[_WEIGHTS]}"
            )
        return encoder

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        """Raise `UsageError` unless `config` has what `build_from_config` needs."""
        for name in ("path", _WEIGHTS):
            if not isinstance(config.get(name), str):
                raise UsageError(f"the configuration of {_NAME} lacks {name!r}: {config}")

    @staticmethod
    def validate_config_update(old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        """Raise `UsageError` if the new encoder's model is not that of the collection's vectors."""
        old, new = old_config.get(_WEIGHTS), new_config.get(_WEIGHTS)
        if old != new:
            raise UsageError(
                f"the collection's vectors are of a model with weights {old}, and the new encoder "
                f"has {new}: their vectors cannot be compared; embed the documents again"
            )
