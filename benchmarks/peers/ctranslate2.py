"""CTranslate2's encoder. Tokenizing, sorting, pooling and unit length are its user's to write."""

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.peers import Opened

if TYPE_CHECKING:
    from benchmarks.peers import Vectors

__all__ = ["open_peer"]

_BATCH_TEXTS = 32
_MAX_TOKENS = 256


def open_peer(files: Path, options: Mapping[str, str]) -> Opened:
    """Load the converted model at `files` with "compute_type"."""
    import numpy as np

    library = import_module("ctranslate2")
    encoder = library.Encoder(
        str(files),
        device="cpu",
        compute_type=options["compute_type"],
        intra_threads=len(os.sched_getaffinity(0)),
    )
    tokenizer = import_module("tokenizers").Tokenizer.from_file(str(files / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(_MAX_TOKENS)

    def encode(texts: Sequence[str]) -> "Vectors":
        rows = [encoded.ids for encoded in tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(rows)), key=lambda place: -len(rows[place]))
        vectors = np.empty((len(rows), 384), dtype=np.float32)
        for first in range(0, len(order), _BATCH_TEXTS):
            places = order[first : first + _BATCH_TEXTS]
            batch = [rows[place] for place in places]
            states = np.array(encoder.forward_batch(batch).last_hidden_state)
            lengths = np.array([len(row) for row in batch])
            mask = np.arange(states.shape[1]) < lengths[:, None]
            sums = np.einsum("btd,bt->bd", states, mask.astype(np.float32))
            vectors[places] = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        return vectors

    return Opened(encode=encode)
