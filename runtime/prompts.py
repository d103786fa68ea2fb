"""The prompts of a model: texts that it was trained to see before a query or a document."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from minilm.runtime.backends.batch import Vectors
from minilm.runtime.errors import InvalidArtifact, UsageError
from minilm.runtime.integrity import IntegrityLevel, read_file
from minilm.runtime.manifest import Manifest
from minilm.runtime.options import LoadOptions
from minilm.runtime.schema import parse_json
from minilm.runtime.text.inputs import check_text

__all__ = ["PromptedEncoding", "choose_prompt", "read_prompts"]

_DEFAULTS: Final = {"query": "", "document": ""}
"""Prompts that every model has (sentence-transformers, `SentenceTransformer._default_prompts`)."""

_FILE: Final = "config_sentence_transformers.json"


def read_prompts(bundle: Path, manifest: Manifest, level: IntegrityLevel) -> Mapping[str, str]:
    """Prompts by name, as the bundle's copy of the model's configuration has them.

    Args:
        bundle: Directory of the bundle.
        manifest: Manifest of the bundle; a bundle may lack that configuration.
        level: Depth of the comparison with the manifest.

    Raises:
        InvalidArtifact: The file is missing from this copy, altered or not understood.
    """
    if not any(entry.path == _FILE for entry in manifest.files):
        return _DEFAULTS
    try:
        data = parse_json(read_file(bundle, manifest, _FILE, level))
        prompts = (data.get("prompts") or {}).items()
    except (ValueError, AttributeError) as error:
        raise InvalidArtifact(f"{_FILE} in {bundle} is not understood: {error}") from error
    if not all(isinstance(prompt, str | None) for _, prompt in prompts):
        raise InvalidArtifact(f"{_FILE} in {bundle} has prompts that are not strings")
    return {**_DEFAULTS, **{name: prompt or "" for name, prompt in prompts}}


def choose_prompt(prompts: Mapping[str, str], prompt: str | None, prompt_name: str | None) -> str:
    """The prompt of a call; empty for none.

    Raises:
        UsageError: Both are given, the model has no prompt of that name, or a lone surrogate.
        TextTypeError: `prompt` is not a str.
    """
    if prompt is not None:
        if prompt_name is not None:
            raise UsageError("give prompt or prompt_name, not both")
        check_text(prompt, "the prompt")
        return prompt
    if prompt_name is None:
        return ""
    if prompt_name not in prompts:
        known = ", ".join(sorted(prompts))
        raise UsageError(
            f"the model has no prompt {prompt_name!r}; it has: {known}; pass prompt= for another"
        )
    return prompts[prompt_name]


class PromptedEncoding(ABC):
    """The part of an `Encoder` that knows the model's prompts, by sentence-transformers' names.

    Attributes:
        manifest: Manifest of the bundle.
        options: Arguments of `load` that gave the encoder.
    """

    __slots__ = ("_prompts",)

    manifest: Manifest
    options: LoadOptions
    _prompts: Mapping[str, str] | None

    @abstractmethod
    def encode(
        self,
        texts: str | Iterable[str],
        *,
        prompt: str | None = None,
        prompt_name: str | None = None,
    ) -> Vectors:
        """Embed one text or several: float32, (texts, dimension), or (dimension,) for a str."""

    @property
    def prompts(self) -> Mapping[str, str]:
        """The model's prompts by name, read from the bundle when they are first wanted.

        Raises:
            InvalidArtifact: the file that holds them is missing from this copy, or was altered.
        """
        if self._prompts is None:
            self._prompts = read_prompts(self.options.path, self.manifest, self.options.verify)
        return self._prompts

    def encode_query(self, texts: str | Iterable[str], **options: Any) -> Vectors:
        """Embed queries: `encode` with the prompt "query", which is empty for most models.

        Args:
            texts: a str, or any iterable of str.
            options: as for `encode`; a prompt among them takes the model's place.
        """
        return self.encode(texts, **_with_prompt("query", options))

    def encode_document(self, texts: str | Iterable[str], **options: Any) -> Vectors:
        """Embed documents: `encode` with the prompt "document", which is empty for most models.

        Args:
            texts: a str, or any iterable of str.
            options: as for `encode`; a prompt among them takes the model's place.
        """
        return self.encode(texts, **_with_prompt("document", options))

    def _prompt(self, prompt: str | None, prompt_name: str | None) -> str:
        return choose_prompt(self.prompts if prompt_name is not None else {}, prompt, prompt_name)


def _with_prompt(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Options of `encode` with the prompt of that name, unless they have one."""
    chosen = options.get("prompt") is not None or options.get("prompt_name") is not None
    return options if chosen else {**options, "prompt_name": name}
