"""Statistics of the linear layers' inputs over the calibration texts."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from minilm.optimize.calibration.float64 import Feed, Float64Session
from minilm.optimize.calibration.hadamard import rotate_rows
from minilm.optimize.ir_utils import linears
from minilm.runtime.errors import BuildFailed
from minilm.runtime.hardware.cpu import available_cores
from threadpoolctl import threadpool_limits

__all__ = [
    "ActivationStatistics",
    "collect_statistics",
    "sentence_vectors",
    "tokenize_calibration",
]

_PERCENTILE: Final = 0.999
"""Share of the tokens that a static range holds: of 0.95 to 0.9999 the best mean that keeps the
minimum over the built-in corpus."""
_CHUNK_TOKENS: Final = 1024
"""Tokens whose products are summed at once: fixed, so that no sum depends on the cores."""
_MOST_WORKERS: Final = 4
"""Chunks at once: each holds its activations and sums, 250 MB for this model."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ActivationStatistics:
    """One linear layer's input over all calibration tokens.

    Attributes:
        tokens: Number of tokens.
        low: float64, (inputs,), the least value of each channel.
        high: float64, (inputs,), the greatest value of each channel.
        total: float64, (inputs,), the sum of x.
        gram: float64, (inputs, inputs), the sum of x xᵀ.
        peak: A high percentile of the tokens' max|x|, the range for static codes.
        rotated_peak: The same of max|x H|, H being `hadamard`'s block-diagonal rotation.
    """

    tokens: int
    low: Array
    high: Array
    total: Array
    gram: Array
    peak: float
    rotated_peak: float

    def affine_gram(
        self, scale: npt.NDArray[np.floating], shift: npt.NDArray[np.floating]
    ) -> Array:
        """The sum of y yᵀ for y = (x - shift) / scale, without another run."""
        z = shift.astype(np.float64)
        crossed = np.outer(self.total, z)
        centered = self.gram - crossed - crossed.T + self.tokens * np.outer(z, z)
        wide = scale.astype(np.float64)
        return np.asarray(centered / np.outer(wide, wide))


def tokenize_calibration(
    tokenizer: Path, corpus: Sequence[str], max_tokens: int
) -> tuple[Feed, ...]:
    """Tokenize `corpus`, a text a run: without padding, no statistic counts a padded token."""
    from tokenizers import Tokenizer

    encoder = Tokenizer.from_file(str(tokenizer))
    encoder.no_padding()
    encoder.enable_truncation(max_tokens)
    ids = [np.array([encoding.ids], np.int64) for encoding in encoder.encode_batch(list(corpus))]
    return tuple({"input_ids": row, "attention_mask": np.ones_like(row)} for row in ids)


def collect_statistics(
    model: ir.Model, feeds: Sequence[Feed]
) -> Mapping[str, ActivationStatistics]:
    """Run `model` over `feeds` and sum up what its linear layers read.

    Returns:
        Statistics by the layer's name; layers with one input (Q, K and V) share them.

    Raises:
        BuildFailed: the graph gives NaN or infinity.
    """
    inputs = {linear.name: linear.input.name or "" for linear in linears(model.graph)}
    values = list(dict.fromkeys(inputs.values()))
    sums = {value: _Sums() for value in values}
    for part in _map_chunks(model, values, feeds):
        for value, rows in zip(values, part, strict=True):
            sums[value].merge(rows)
    found = {value: sums[value].result() for value in values}
    return {name: found[value] for name, value in inputs.items()}


def sentence_vectors(model: ir.Model, feeds: Sequence[Feed]) -> Array:
    """Sentence vectors of `model` for `feeds`: float64, (texts, dimension)."""
    session = Float64Session(model, ["sentence_embedding"])
    with threadpool_limits(1):
        return np.concatenate([session.run(feed)[0] for feed in feeds])


def workers() -> int:
    """Threads that calibration uses here."""
    return min(_MOST_WORKERS, available_cores()[0])


class _Sums:
    """Running statistics of one value."""

    def __init__(self, rows: Array | None = None) -> None:
        self.tokens = 0
        self.peaks: list[Array] = []
        self.rotated_peaks: list[Array] = []
        if rows is None:
            return
        if not np.isfinite(rows).all():
            raise BuildFailed("calibration: the fp32 graph gives NaN or infinity on its texts")
        self.tokens = len(rows)
        self.low, self.high = rows.min(axis=0), rows.max(axis=0)
        self.total, self.gram = rows.sum(axis=0), rows.T @ rows
        self.peaks = [np.abs(rows).max(axis=1)]
        self.rotated_peaks = [np.abs(rotate_rows(rows)).max(axis=1)]

    def merge(self, other: "_Sums") -> None:
        if not self.tokens:
            self.low, self.high, self.total, self.gram = (
                other.low, other.high, other.total, other.gram,
            )  # fmt: skip
        else:
            self.low = np.minimum(self.low, other.low)
            self.high = np.maximum(self.high, other.high)
            self.total = self.total + other.total
            self.gram += other.gram
        self.tokens += other.tokens
        self.peaks += other.peaks
        self.rotated_peaks += other.rotated_peaks

    def result(self) -> ActivationStatistics:
        return ActivationStatistics(
            tokens=self.tokens,
            low=self.low,
            high=self.high,
            total=self.total,
            gram=self.gram,
            peak=float(np.quantile(np.concatenate(self.peaks), _PERCENTILE)),
            rotated_peak=float(np.quantile(np.concatenate(self.rotated_peaks), _PERCENTILE)),
        )


def _map_chunks(
    model: ir.Model, values: Sequence[str], feeds: Sequence[Feed]
) -> Iterator[list[_Sums]]:
    """Sums of each chunk of texts, in order, on as many threads as there are cores."""
    session = Float64Session(model, values)

    def sum_up(chunk: Sequence[Feed]) -> list[_Sums]:
        runs = [session.run(feed) for feed in chunk]
        joined = (np.concatenate([run[i] for run in runs], axis=1) for i in range(len(values)))
        return [_Sums(rows.reshape(-1, rows.shape[-1])) for rows in joined]

    chunks = list(_chunks(feeds))
    count = workers()
    # One BLAS thread: a sum that two threads share is added in another order than by one.
    with threadpool_limits(1), ThreadPoolExecutor(count) as pool:
        # As many at once as there are threads: sums that wait take memory.
        for start in range(0, len(chunks), count):
            yield from pool.map(sum_up, chunks[start : start + count])


def _chunks(feeds: Sequence[Feed]) -> Iterator[list[Feed]]:
    chunk: list[Feed] = []
    tokens = 0
    for feed in feeds:
        chunk.append(feed)
        tokens += feed["input_ids"].size
        if tokens >= _CHUNK_TOKENS:
            yield chunk
            chunk, tokens = [], 0
    if chunk:
        yield chunk
