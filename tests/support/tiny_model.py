"""A sentence-transformers model of random weights, small enough to build in seconds."""

import json
import string
from pathlib import Path
from typing import Any

DIMENSION = 32
LAYERS = 3
HEADS = 2
MAX_TOKENS = 64


def write_tiny_model(directory: Path, *, pooling: str = "cls", normalized: bool = True) -> Path:
    """Write the model: 3 layers of width 32, 2 heads, 64 tokens, [CLS] pooling."""
    import torch
    from transformers import BertConfig, BertModel

    words = vocabulary()
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=DIMENSION,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * DIMENSION,
        max_position_embeddings=2 * MAX_TOKENS,
        initializer_range=0.2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(20_260)
        model = BertModel(config)
    model.save_pretrained(directory, safe_serialization=True)
    (directory / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    _write_tokenizer(directory)
    kinds = ["Transformer", "Pooling", "Normalize"][: 3 if normalized else 2]
    paths = ["", "1_Pooling", "2_Normalize"]
    _write_json(
        directory / "modules.json",
        [
            {
                "idx": index,
                "name": str(index),
                "path": path,
                "type": f"sentence_transformers.models.{kind}",
            }
            for index, (kind, path) in enumerate(zip(kinds, paths, strict=False))
        ],
    )
    _write_json(
        directory / "sentence_bert_config.json",
        {"max_seq_length": MAX_TOKENS, "do_lower_case": False},
    )
    _write_json(
        directory / "1_Pooling/config.json",
        {
            "word_embedding_dimension": DIMENSION,
            "pooling_mode_cls_token": pooling == "cls",
            "pooling_mode_mean_tokens": pooling == "mean",
            "pooling_mode_max_tokens": pooling == "max",
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
    )
    return directory


def vocabulary() -> list[str]:
    """Every token of the model."""
    letters = [*string.ascii_lowercase, *string.digits]
    return [
        *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
        *letters,
        *(f"##{letter}" for letter in letters),
        *string.punctuation,
        *("the", "of", "and", "in", "to", "is", "with", "on", "for", "was", "it", "from", "at"),
    ]


def _write_tokenizer(directory: Path) -> None:
    from transformers import BertTokenizerFast

    tokenizer = BertTokenizerFast(
        vocab_file=str(directory / "vocab.txt"), do_lower_case=True, model_max_length=MAX_TOKENS
    )
    tokenizer.save_pretrained(directory)


def _write_json(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2), encoding="utf-8")
