"""Which sentence-transformers directories can be converted, and what must be known of them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from minilm.runtime.errors import SourceError

__all__ = ["Architecture", "inspect"]

_MODULES: Final = ("Transformer", "Pooling", "Normalize")
_POOLINGS: Final = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
_REQUIRED: Final[dict[str, Any]] = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
}
_DEFAULTS: Final[dict[str, Any]] = {"position_embedding_type": "absolute", "is_decoder": False}
"""What a BERT config means where it is silent (transformers, `BertConfig`)."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The numbers of a BERT-family sentence encoder.

    Attributes:
        layers: encoder layers.
        heads: attention heads of each.
        dimension: elements of a token's and a sentence's vector.
        max_tokens: tokens of the longest input, [CLS] and [SEP] included.
        pooling: "mean" or "cls".
        normalized: whether sentence vectors are scaled to unit length.
    """

    layers: int
    heads: int
    dimension: int
    max_tokens: int
    pooling: str
    normalized: bool


def inspect(directory: Path) -> Architecture:
    """Read what `directory` says of itself.

    Raises:
        SourceError: a file is missing or not JSON, or the model is not of the BERT family with mean
            or CLS pooling; the message names the field, what it says and what is supported.
    """
    modules = _read(directory / "modules.json")
    kinds = [str(module.get("type", "")).rsplit(".", 1)[-1] for module in modules]
    if kinds not in (list(_MODULES), list(_MODULES[:2])):
        raise SourceError(
            f"modules.json in {directory} lists {', '.join(kinds) or 'nothing'}; "
            f"supported is {', '.join(_MODULES)}, the last one optional"
        )
    transformer = directory / modules[0].get("path", "")
    config = _DEFAULTS | _read(transformer / "config.json")
    for field, wanted in _REQUIRED.items():
        if config.get(field) != wanted:
            raise SourceError(
                f"unsupported architecture: config.json in {directory} has {field} "
                f"{config.get(field)!r}, supported is {wanted!r} (the BERT family)"
            )
    limit = _read(transformer / "sentence_bert_config.json").get("max_seq_length")
    positions = int(config["max_position_embeddings"])
    return Architecture(
        layers=int(config["num_hidden_layers"]),
        heads=int(config["num_attention_heads"]),
        dimension=int(config["hidden_size"]),
        max_tokens=min(int(limit or positions), positions),
        pooling=_pooling(directory / modules[1].get("path", "1_Pooling") / "config.json"),
        normalized=len(kinds) == len(_MODULES),
    )


def _pooling(path: Path) -> str:
    config = _read(path)
    modes = [
        key for key, value in config.items() if key.startswith("pooling_mode_") and value is True
    ]
    if "pooling_mode" in config:  # sentence-transformers 5.7 writes one field
        modes = [f"pooling_mode_{config['pooling_mode']}"]
    names = {**_POOLINGS, "pooling_mode_mean": "mean", "pooling_mode_cls": "cls"}
    if len(modes) != 1 or modes[0] not in names:
        found = ", ".join(modes) or "no pooling"
        raise SourceError(f"unsupported pooling: {path} has {found}; supported are mean and cls")
    return names[modes[0]]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SourceError(
            f"{path.parent} has no {path.name}: it is not a sentence-transformers model directory"
        ) from error
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot read {path}: {error}") from error
