"""The tokenizer's files with the model's limit in them.

Other runtimes cut texts where these files say, and all-MiniLM-L6-v2's say 128 and 512, where the
original cuts at 256. Nothing but limit and padding is changed.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from minilm.convert import Source
from minilm.convert.model_files import read_object
from minilm.runtime.errors import SourceError

__all__ = ["tokenizer_files", "tokenizer_originals"]

_TOKENIZER: Final = "tokenizer.json"
_SETTINGS: Final = "tokenizer_config.json"
_TRUNCATION: Final = {"direction": "Right", "strategy": "LongestFirst", "stride": 0}


def tokenizer_files(source: Source) -> dict[str, bytes]:
    """Content of the tokenizer's files by name; as it is where it has the limit already.

    Args:
        source: Weights that the bundle is made from, and their tokenizer.

    Raises:
        SourceError: The tokenizer has no token to pad with.
    """
    limit = source.config.max_tokens
    settings_path = source.layout.transformer / _SETTINGS
    settings = read_object(settings_path) if settings_path.is_file() else None
    tokenizer = read_object(source.tokenizer)
    changes = {
        "truncation": {**_TRUNCATION, **(tokenizer.get("truncation") or {}), "max_length": limit},
        "padding": _padding(source.tokenizer, tokenizer, settings or {}),
    }
    files = {_TOKENIZER: _changed(source.tokenizer, tokenizer, changes, indent=None)}
    if settings is not None:
        limits = {"model_max_length": limit}
        files[_SETTINGS] = _changed(settings_path, settings, limits, indent=2)
    return files


def tokenizer_originals(source: Source) -> dict[str, str]:
    """SHA-256 in the source of those of the tokenizer's files that a bundle holds with changes."""
    originals = {}
    for name, content in tokenizer_files(source).items():
        original = (source.layout.transformer / name).read_bytes()
        if content != original:
            originals[name] = hashlib.sha256(original).hexdigest()
    return originals


def _padding(
    path: Path, tokenizer: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Padding to the longest text of a batch: a runtime that pads to a fixed length wastes it."""
    found = tokenizer.get("padding")
    if found is None:
        token = settings.get("pad_token") or "[PAD]"
        token = token["content"] if isinstance(token, dict) else token
        vocabulary = tokenizer.get("model", {}).get("vocab", {})
        if token not in vocabulary:
            raise SourceError(f"{path} has no token {token!r} to pad with")
        found = {
            "direction": "Right",
            "pad_id": vocabulary[token],
            "pad_type_id": 0,
            "pad_token": token,
        }
    return {**found, "strategy": "BatchLongest", "pad_to_multiple_of": None}


def _changed(
    path: Path, data: Mapping[str, Any], changes: Mapping[str, Any], *, indent: int | None
) -> bytes:
    if all(data.get(field) == value for field, value in changes.items()):
        return path.read_bytes()
    separators = (",", ":") if indent is None else None
    text = json.dumps({**data, **changes}, ensure_ascii=False, indent=indent, separators=separators)
    return (text + "\n").encode()
