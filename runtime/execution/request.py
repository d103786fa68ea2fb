"""One call's texts on their way to vectors: rows out, vectors in, and what was cut."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from minilm.runtime.errors import TextTooLong
from minilm.runtime.execution.batching import TokenRow
from minilm.runtime.text.tokenizer import TextTokenizer
from minilm.runtime.text.windows import window_spans
from minilm.runtime.validation import OnLong

__all__ = ["EncodeOptions", "EncodeReport", "EncodeRequest"]

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class EncodeReport:
    """What a call made of its texts.

    Attributes:
        texts: that were embedded.
        texts_cut: that lost tokens.
        tokens_cut: that they lost together.
        texts_windowed: that were averaged over windows.
    """

    texts: int = 0
    texts_cut: int = 0
    tokens_cut: int = 0
    texts_windowed: int = 0

    def __add__(self, other: "EncodeReport") -> "EncodeReport":
        return EncodeReport(
            texts=self.texts + other.texts,
            texts_cut=self.texts_cut + other.texts_cut,
            tokens_cut=self.tokens_cut + other.tokens_cut,
            texts_windowed=self.texts_windowed + other.texts_windowed,
        )


@dataclass(frozen=True, kw_only=True)
class EncodeOptions:
    """How texts become vectors.

    Attributes:
        room: tokens of a text that the model reads, [CLS] and [SEP] not counted.
        dimension: elements of a vector.
        on_long: what a longer text gets; None if nobody chose, which is "truncate".
        graph_normalizes: whether the vectors of rows have unit length already.
        unit_length: whether those of texts are to have it.
    """

    room: int
    dimension: int
    on_long: OnLong | None
    graph_normalizes: bool
    unit_length: bool


class EncodeRequest:
    """Texts to embed and the place for their vectors.

    `tokenize` is called by one thread at a time, `store` by several at once.

    Args:
        texts: checked.
        tokenizer: of the bundle.
        options: how they become vectors.
        first: position of the first in its stream, for messages.
    """

    def __init__(
        self,
        texts: Sequence[str],
        tokenizer: TextTokenizer,
        options: EncodeOptions,
        first: int = 0,
    ) -> None:
        self.texts = texts
        self._first = first
        self._tokenizer = tokenizer
        self.options = options
        self._vectors = np.empty((len(texts), options.dimension), dtype=np.float32)
        self._windows: dict[int, list[tuple[int, int, npt.NDArray[np.float32]]]] = {}
        self._lock = threading.Lock()
        self._texts_cut = self._tokens_cut = 0

    def tokenize(self, position: int) -> list[TokenRow]:
        """Rows of the text at `position`: one, or its windows.

        Raises:
            TextTooLong: it is, and `on_long` is "error".
        """
        ids = self._tokenizer.ids(self.texts[position])
        surplus = len(ids) - self.options.room
        if surplus <= 0:
            return [TokenRow(position, 0, ids)]
        if self.options.on_long == "error":
            raise TextTooLong(
                f"texts[{self._first + position}] has {len(ids)} tokens, the model reads "
                f'{self.options.room}: shorten it, or choose on_long="truncate" or "mean"'
            )
        if self.options.on_long in {None, "truncate"}:
            self._texts_cut += 1
            self._tokens_cut += surplus
            return [TokenRow(position, 0, ids[: self.options.room].copy())]
        self._windows[position] = []
        spans = window_spans(len(ids), self.options.room)
        return [TokenRow(position, part, ids[a:b]) for part, (a, b) in enumerate(spans)]

    def store(self, rows: Sequence[TokenRow], vectors: Vectors) -> None:
        """Take the vectors of a batch: float32, (rows, dimension)."""
        if not self._windows:
            self._vectors[[row.text for row in rows]] = vectors
            return
        for row, vector in zip(rows, vectors, strict=True):
            if row.text in self._windows:
                with self._lock:
                    self._windows[row.text].append((row.part, len(row.ids), vector))
            else:
                self._vectors[row.text] = vector

    def result(self) -> Vectors:
        """Vectors of all texts, in their order: float32, (texts, dimension)."""
        for position, windows in self._windows.items():
            # In the order of the text: the sum must not depend on which window was ready first.
            windows.sort(key=lambda window: window[0])
            weights = np.array([tokens for _, tokens, _ in windows], dtype=np.float64)
            stacked = np.stack([vector for _, _, vector in windows]).astype(np.float64)
            self._vectors[position] = weights @ stacked / weights.sum()
        graph_did = self.options.graph_normalizes
        if self.options.unit_length and (self._windows or not graph_did):
            raw = list(self._windows) if graph_did else slice(None)
            norms = np.linalg.norm(self._vectors[raw], axis=1, keepdims=True)
            self._vectors[raw] /= np.maximum(norms, 1e-12)
        return self._vectors

    def report(self) -> EncodeReport:
        """What became of the texts so far."""
        return EncodeReport(
            texts=len(self.texts),
            texts_cut=self._texts_cut,
            tokens_cut=self._tokens_cut,
            texts_windowed=len(self._windows),
        )
