"""One call's texts: what becomes of them as data, from tokens to vectors."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from minilm.runtime.backends.batch import Vectors
from minilm.runtime.errors import InvalidArtifact, TextTooLong
from minilm.runtime.execution.batching import TokenRow
from minilm.runtime.text.tokenizer import Ids, TextTokenizer
from minilm.runtime.text.windows import window_spans
from minilm.runtime.validation import OnLong

__all__ = [
    "EncodeOptions",
    "EncodeReport",
    "EncodeRequest",
    "EncodeResult",
    "TokenizedTexts",
    "tokenize",
]


@dataclass(frozen=True, kw_only=True)
class EncodeReport:
    """Counts of what a call did with its texts.

    Attributes:
        texts: Number of texts embedded.
        texts_cut: Number of texts that lost tokens.
        tokens_cut: Number of tokens that they lost together.
        texts_windowed: Number of texts averaged over windows.
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
        max_content_tokens: Tokens of a text that the model reads, without [CLS] and [SEP].
        dimension: Elements of a vector.
        on_long: Treatment of longer texts; None if nobody chose, which truncates.
        graph_normalizes: Whether the vectors of rows have unit length already.
        unit_length: Whether the vectors of texts are brought to unit length.
        batch_size: Most rows of a batch; None for as many as run best.
    """

    max_content_tokens: int
    dimension: int
    on_long: OnLong | None
    graph_normalizes: bool
    unit_length: bool
    batch_size: int | None = None


@dataclass(frozen=True, kw_only=True)
class EncodeRequest:
    """Texts to embed.

    Attributes:
        texts: Texts, checked.
        options: How they become vectors.
        first: Position of the first text in its stream, for messages.
        ids: Token ids of each text, where they are known; else the texts are tokenized.
    """

    texts: Sequence[str]
    options: EncodeOptions
    first: int = 0
    ids: Sequence[Ids] | None = None


class TokenizedTexts(NamedTuple):
    """Rows of some texts, and what became of the long ones.

    Attributes:
        rows: Rows in the order of the texts; a text of several windows has several.
        texts_cut: Number of texts that lost tokens.
        tokens_cut: Number of tokens that they lost together.
        windowed: Positions of the texts of several windows.
    """

    rows: list[TokenRow]
    texts_cut: int
    tokens_cut: int
    windowed: list[int]


def tokenize(
    request: EncodeRequest, tokenizer: TextTokenizer, positions: Sequence[int]
) -> TokenizedTexts:
    """Tokenize the texts at `positions`; may be called from several threads at once.

    Raises:
        TextTooLong: A text is over the limit, and `on_long` is "error".
    """
    options = request.options
    rows: list[TokenRow] = []
    windowed: list[int] = []
    texts_cut = tokens_cut = 0
    for position in positions:
        known = request.ids
        ids = known[position] if known is not None else tokenizer.ids(request.texts[position])
        surplus = len(ids) - options.max_content_tokens
        if surplus <= 0:
            rows.append(TokenRow(position, 0, ids))
        elif options.on_long == "error":
            raise TextTooLong(
                f"texts[{request.first + position}] has {len(ids)} tokens, the model reads "
                f"{options.max_content_tokens}: shorten it, or choose "
                'on_long="truncate" or "mean"'
            )
        elif options.on_long == "mean":
            spans = window_spans(len(ids), options.max_content_tokens)
            rows += [TokenRow(position, part, ids[a:b]) for part, (a, b) in enumerate(spans)]
            windowed.append(position)
        else:
            rows.append(TokenRow(position, 0, ids[: options.max_content_tokens].copy()))
            texts_cut += 1
            tokens_cut += surplus
    return TokenizedTexts(rows, texts_cut, tokens_cut, windowed)


class EncodeResult:
    """The place for the vectors of a request. `store` may be called by several threads at once.

    Args:
        request: The request that is answered.
    """

    def __init__(self, request: EncodeRequest) -> None:
        self._options = request.options
        self._vectors = np.empty((len(request.texts), request.options.dimension), np.float32)
        self._windows: dict[int, list[tuple[int, int, Vectors]]] = {}
        self._lock = threading.Lock()
        self._texts_cut = self._tokens_cut = 0

    def count(self, tokenized: TokenizedTexts) -> None:
        """Count what became of texts; before any of their rows is stored, by one thread at a time.

        Args:
            tokenized: Rows of some texts.
        """
        self._texts_cut += tokenized.texts_cut
        self._tokens_cut += tokenized.tokens_cut
        for position in tokenized.windowed:
            self._windows[position] = []

    def store(self, rows: Sequence[TokenRow], vectors: Vectors) -> None:
        """Store the vectors of a batch.

        Args:
            rows: Rows of the batch.
            vectors: Their vectors: float32, (rows, dimension).

        Raises:
            InvalidArtifact: The vectors have another dimension than the manifest says.
        """
        dimension = self._options.dimension
        if vectors.shape[1] != dimension:
            raise InvalidArtifact(
                f"the graph gives vectors of {vectors.shape[1]} elements, the manifest says "
                f"{dimension}: build the bundle again"
            )
        if not self._windows:
            self._vectors[[row.text for row in rows]] = vectors
            return
        for row, vector in zip(rows, vectors, strict=True):
            if row.text in self._windows:
                with self._lock:
                    self._windows[row.text].append((row.part, len(row.ids), vector))
            else:
                self._vectors[row.text] = vector

    def vectors(self) -> Vectors:
        """Vectors of all texts, in their order: float32, (texts, dimension)."""
        for position, windows in self._windows.items():
            # In the order of the text: the sum must not depend on which window was ready first.
            windows.sort(key=lambda window: window[0])
            weights = np.array([tokens for _, tokens, _ in windows], dtype=np.float64)
            stacked = np.stack([vector for _, _, vector in windows]).astype(np.float64)
            self._vectors[position] = weights @ stacked / weights.sum()
        graph_did = self._options.graph_normalizes
        if self._options.unit_length and (self._windows or not graph_did):
            raw: list[int] | slice = list(self._windows) if graph_did else slice(None)
            norms: npt.NDArray[np.float32] = np.linalg.norm(
                self._vectors[raw], axis=1, keepdims=True
            )
            self._vectors[raw] /= np.maximum(norms, 1e-12)
        return self._vectors

    def report(self) -> EncodeReport:
        """Counts of what became of the texts."""
        return EncodeReport(
            texts=len(self._vectors),
            texts_cut=self._texts_cut,
            tokens_cut=self._tokens_cut,
            texts_windowed=len(self._windows),
        )
