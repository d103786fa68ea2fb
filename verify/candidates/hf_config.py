"""Read pooling, normalization and sequence limit from a Hugging Face model directory."""

import json
from pathlib import Path
from typing import Any, Final

from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.reading import read_regular

__all__ = [
    "max_seq_length",
    "normalized",
    "pooling",
    "read_json",
    "tokenizer_limits",
    "tokenizer_padding",
]

_MOST_BYTES: Final = 1 << 28
_TOKENIZER: Final = "tokenizer.json"
_TOKENIZER_CONFIG: Final = "tokenizer_config.json"


def pooling(directory: Path) -> str:
    """As `1_Pooling/config.json` says: "mean" or "cls"; "mean" without one.

    Raises:
        InvalidArtifact: it asks for another pooling, or cannot be read.
    """
    config = read_json(directory, "1_Pooling/config.json")
    if not config:
        return "mean"
    modes = {
        "pooling_mode_mean_tokens": "mean",
        "pooling_mode_cls_token": "cls",
    }
    on = [key for key, value in config.items() if key.startswith("pooling_mode") and value is True]
    if len(on) == 1 and on[0] in modes:
        return modes[on[0]]
    if config.get("pooling_mode") in modes.values():
        return str(config["pooling_mode"])
    raise InvalidArtifact(
        f"{directory / '1_Pooling/config.json'} asks for {', '.join(on) or 'no pooling'}: "
        "mean and CLS pooling are known here"
    )


def normalized(directory: Path) -> bool:
    """Whether `modules.json` lists a Normalize module.

    Raises:
        InvalidArtifact: it cannot be read.
    """
    modules = read_json(directory, "modules.json", default=[])
    kinds = [str(module.get("type", "")) for module in modules if isinstance(module, dict)]
    return any(kind.endswith("Normalize") for kind in kinds)


def max_seq_length(directory: Path) -> int:
    """Tokens that are read, as sentence-transformers finds them.

    Its own file says so; without it the lower of the tokenizer's and the model's limits counts.

    Raises:
        InvalidArtifact: no file says, or one cannot be read.
    """
    said = _tokens(read_json(directory, "sentence_bert_config.json").get("max_seq_length"))
    if said is not None:
        return said
    places = (
        (_TOKENIZER_CONFIG, "model_max_length"),
        ("config.json", "max_position_embeddings"),
    )
    found = [_tokens(read_json(directory, file).get(key)) for file, key in places]
    known = [value for value in found if value is not None]
    if known:
        return min(known)
    raise InvalidArtifact(f"{directory} does not say how many tokens the model reads")


def tokenizer_limits(directory: Path) -> dict[str, int | None]:
    """Tokens at which a runtime cuts that reads the tokenizer's files alone, by file.

    Returns:
        None for a file that does not say; nothing for a file that is not there.

    Raises:
        InvalidArtifact: a file cannot be read.
    """
    truncation = read_json(directory, _TOKENIZER).get("truncation")
    found = {_TOKENIZER: truncation.get("max_length") if isinstance(truncation, dict) else None}
    if (directory / _TOKENIZER_CONFIG).exists():
        found[_TOKENIZER_CONFIG] = read_json(directory, _TOKENIZER_CONFIG).get("model_max_length")
    return {file: _tokens(value) for file, value in found.items()}


def tokenizer_padding(directory: Path) -> str:
    """How `tokenizer.json` pads a batch: "BatchLongest", "Fixed" or "none".

    Raises:
        InvalidArtifact: it cannot be read.
    """
    padding = read_json(directory, _TOKENIZER).get("padding")
    strategy = padding.get("strategy") if isinstance(padding, dict) else None
    return "Fixed" if isinstance(strategy, dict) else str(strategy or "none")


def _tokens(value: Any) -> int | None:
    """A limit; tokenizers without one say 1e30."""
    return value if isinstance(value, int) and 2 < value <= 1 << 20 else None


def read_json(directory: Path, name: str, *, default: Any = None) -> Any:
    """Content of a JSON file: of the kind of `default`, an object by default; empty without a file.

    Raises:
        InvalidArtifact: it cannot be read, or holds another kind.
    """
    path = directory / name
    empty = {} if default is None else default
    if not path.exists():
        return empty
    try:
        data = json.loads(read_regular(path, _MOST_BYTES).decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidArtifact(f"cannot read {path}: {error}") from error
    if not isinstance(data, type(empty)):
        raise InvalidArtifact(f"{path} holds no JSON {'object' if default is None else 'list'}")
    return data
