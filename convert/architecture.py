"""Read the numbers of a BERT-family sentence encoder from its configuration files."""

from pathlib import Path
from typing import Any, Final

from minilm.convert.layout import ModelLayout
from minilm.convert.model_files import read_object, read_optional_object, whole_number
from minilm.convert.settings import transformer_settings
from minilm.runtime.errors import SourceError
from minilm.runtime.manifest import EncoderConfig

__all__ = ["read_encoder_config"]

_REQUIRED: Final[dict[str, Any]] = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
}
_DEFAULTS: Final[dict[str, Any]] = {"position_embedding_type": "absolute", "is_decoder": False}
"""Values of a BERT config where it is silent (transformers, `BertConfig`)."""

_POOLINGS: Final = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean": "mean",
    "pooling_mode_cls": "cls",
}


def read_encoder_config(layout: ModelLayout) -> EncoderConfig:
    """Read layers, heads, dimension, limit and pooling of a model directory.

    Raises:
        SourceError: a file is missing or not understood, or the model is not of the BERT family
            with mean or CLS pooling; the message names the field, its value and what is supported.
    """
    path = layout.transformer / "config.json"
    config = _DEFAULTS | read_object(path)
    for field, wanted in _REQUIRED.items():
        if config.get(field) != wanted:
            raise SourceError(
                f"unsupported architecture: {path} has {field} {config.get(field)!r}, supported "
                f"is {wanted!r} (the BERT family)"
            )
    return EncoderConfig(
        layers=whole_number(config, "num_hidden_layers", path),
        heads=whole_number(config, "num_attention_heads", path),
        dimension=whole_number(config, "hidden_size", path),
        max_tokens=_max_tokens(
            layout.transformer, whole_number(config, "max_position_embeddings", path)
        ),
        pooling=_pooling(layout.pooling / "config.json"),
        normalized=layout.normalized,
    )


def _max_tokens(transformer: Path, positions: int) -> int:
    """The limit as sentence-transformers computes it (its `Transformer.__init__`).

    It is `max_seq_length`, or `model_max_length` of the tokenizer where that is not set, and never
    over the positions that the model has.
    """
    path, settings = transformer_settings(transformer)
    field = "max_seq_length"
    if settings.get(field) is None:
        path = transformer / "tokenizer_config.json"
        settings = read_optional_object(path)
        field = "model_max_length" if "model_max_length" in settings else "max_len"
        if settings.get(field) is None:
            return positions
    value = settings[field]
    if isinstance(value, float) and value >= positions:
        return positions  # "no limit" may be written as 1e+30
    return min(whole_number(settings, field, path), positions)


def _pooling(path: Path) -> str:
    config = read_object(path)
    modes = [
        key for key, value in config.items() if key.startswith("pooling_mode_") and value is True
    ]
    if "pooling_mode" in config:  # sentence-transformers 5.7 writes one field
        modes = [f"pooling_mode_{config['pooling_mode']}"]
    if len(modes) != 1 or modes[0] not in _POOLINGS:
        found = ", ".join(modes) or "no pooling"
        raise SourceError(f"unsupported pooling: {path} has {found}; supported are mean and cls")
    return _POOLINGS[modes[0]]
