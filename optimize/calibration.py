"""Statistics of what each linear layer sees of the calibration texts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from minilm.runtime.errors import BuildFailed
from threadpoolctl import threadpool_limits

__all__ = ["Feed", "Statistics", "feeds", "sentence_vectors", "statistics"]

_PERCENTILE: Final = 0.9999
_BLOCK_TOKENS: Final = 2048

Feed = dict[str, npt.NDArray[np.int64]]
"""Inputs of one run: `input_ids` and `attention_mask`, each int64 (1, tokens)."""


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Of one layer's input over all calibration tokens.

    Attributes:
        low: float32, (inputs,), least value of each channel.
        high: float32, (inputs,), greatest value of each channel.
        gram: float64, (inputs, inputs), sum of x xT.
        peak: the 99.99th percentile of the tokens' max|x|: what a static range has to hold.
    """

    low: npt.NDArray[np.float32]
    high: npt.NDArray[np.float32]
    gram: npt.NDArray[np.float64]
    peak: float


def feeds(tokenizer: Path, corpus: Sequence[str], max_tokens: int) -> tuple[Feed, ...]:
    """Tokenize `corpus`, a text a run: without padding, no statistic counts a padded token."""
    from tokenizers import Tokenizer

    encoder = Tokenizer.from_file(str(tokenizer))
    encoder.no_padding()
    encoder.enable_truncation(max_tokens)
    ids = [np.array([encoding.ids], np.int64) for encoding in encoder.encode_batch(list(corpus))]
    return tuple({"input_ids": row, "attention_mask": np.ones_like(row)} for row in ids)


def statistics(
    model: ir.Model, values: Iterable[ir.Value], inputs: Sequence[Feed], *, products: bool = True
) -> Mapping[str, Statistics]:
    """Run `model` over `inputs` and gather the statistics of `values`, by name.

    One thread, in the order given: the sums are the same whatever the number of cores. Without
    `products` the sums of x xT, which cost most, are left empty.
    """
    names = list(dict.fromkeys(value.name or "" for value in values))
    session = _session(model, names)
    gathered = {name: _Gatherer(products=products) for name in names}
    with threadpool_limits(1):
        for feed in inputs:
            for name, array in zip(names, session.run(names, feed), strict=True):
                gathered[name].add(array.reshape(-1, array.shape[-1]))
        return {name: gatherer.result() for name, gatherer in gathered.items()}


def sentence_vectors(model: ir.Model, inputs: Sequence[Feed]) -> npt.NDArray[np.float64]:
    """What `model` gives for `inputs`: float64, (texts, dimension), with one thread."""
    session = _session(model, ["sentence_embedding"])
    rows = [session.run(["sentence_embedding"], feed)[0][0] for feed in inputs]
    return np.array(rows, np.float64)


def _session(model: ir.Model, outputs: Sequence[str]) -> Any:
    """A session on one thread that gives `outputs`, any values of the graph."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    proto = ir.to_proto(model)
    del proto.graph.output[:]
    proto.graph.output.extend(type(proto.graph.input[0])(name=name) for name in outputs)
    return ort.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


class _Gatherer:
    """Sums over rows in blocks, so that no layer's activations are held for all texts at once."""

    def __init__(self, *, products: bool) -> None:
        self._products = products
        self._waiting: list[npt.NDArray[np.float32]] = []
        self._peaks: list[npt.NDArray[np.float32]] = []
        self._low: npt.NDArray[np.float32] = np.array(np.inf, np.float32)
        self._high: npt.NDArray[np.float32] = np.array(-np.inf, np.float32)
        self._gram: npt.NDArray[np.float64] = np.zeros((0, 0))

    def add(self, rows: npt.NDArray[np.float32]) -> None:
        self._waiting.append(rows)
        if sum(map(len, self._waiting)) >= _BLOCK_TOKENS:
            self._flush()

    def result(self) -> Statistics:
        if self._waiting:
            self._flush()
        return Statistics(
            low=self._low,
            high=self._high,
            gram=self._gram,
            peak=float(np.quantile(np.concatenate(self._peaks), _PERCENTILE)),
        )

    def _flush(self) -> None:
        rows = np.concatenate(self._waiting)
        self._waiting = []
        if not np.isfinite(rows).all():
            raise BuildFailed("calibration: the fp32 graph gives NaN or infinity on its texts")
        self._peaks.append(np.abs(rows).max(axis=1))
        self._low = np.minimum(self._low, rows.min(axis=0))
        self._high = np.maximum(self._high, rows.max(axis=0))
        if self._products:
            product = rows.T @ rows
            self._gram = product + (self._gram if self._gram.size else np.float64(0))
