"""One variant on the stand: what it gives for the corpus, measured once and kept for the gates."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from minilm.verify.corpus import Sample, exact
from minilm.verify.graphs import named, pad, pool
from minilm.verify.ranking import cosines, unit
from minilm.verify.reference import Vectors
from minilm.verify.subject import Subject

__all__ = ["Tokens", "Trial"]

_LOADER_PROBES: Final = 12
_GRAPH_PROBES: Final = 6


class Tokens:
    """How the artifact's tokenizer sees the corpus.

    Attributes:
        ids: of each text of the corpus, special tokens in, cut at the limit.
        lengths: tokens of each text, not cut.
        fill: id of the padding token.
        limit: tokens that the original reads, special ones included.
    """

    def __init__(self, tokenizer: Any, texts: Sequence[str], limit: int) -> None:
        """Tokenize `texts` with a `tokenizers.Tokenizer` that neither cuts nor pads."""
        self._tokenizer = tokenizer
        self.limit = limit
        stripped = [text.strip() for text in texts]
        self.lengths = [self.count(text) for text in stripped]
        tokenizer.enable_truncation(limit)
        self.ids = [list(tokenizer.encode(text).ids) for text in stripped]
        tokenizer.no_truncation()
        self.fill = int(tokenizer.token_to_id("[PAD]") or 0)

    def count(self, text: str) -> int:
        """Tokens of a text, special ones included."""
        return len(self._tokenizer.encode(text).ids)

    def two_words(self) -> tuple[str, str] | None:
        """Two words that are one token each, and not the same; None if there are none."""
        known: dict[int, str] = {}
        vocabulary = sorted(word for word in self._tokenizer.get_vocab() if word.isalpha())
        for word in ("water", "music", "green", *vocabulary):
            ids = self._tokenizer.encode(word, add_special_tokens=False).ids
            if len(ids) == 1 and self._tokenizer.id_to_token(ids[0]) != "[UNK]":
                known.setdefault(ids[0], word)
            if len(known) == 2:
                first, second = known.values()
                return first, second
        return None


class Trial:
    """One variant, the corpus and the original's vectors.

    Attributes:
        subject: what is judged.
        samples: the corpus.
        reference: the original's vectors, float32, (texts, dimension).
        tokens: of the corpus.
    """

    def __init__(
        self, subject: Subject, samples: Sequence[Sample], reference: Vectors, tokens: Tokens
    ) -> None:
        self.subject = subject
        self.samples = samples
        self.reference = reference
        self.tokens = tokens
        self.texts = [sample.text for sample in samples]

    @cached_property
    def vectors(self) -> Vectors:
        """The whole corpus through the loader: float32, (texts, dimension)."""
        return self.subject.encode(self.texts)

    @cached_property
    def cosines(self) -> npt.NDArray[np.float64]:
        """Of `vectors` to the original: float64, (texts,)."""
        return cosines(self.vectors, self.reference)

    @cached_property
    def probes(self) -> list[int]:
        """Places of some texts of the corpus: all lengths, the longest included."""
        return self._spread(_LOADER_PROBES)

    @cached_property
    def alone(self) -> Vectors:
        """The probes, one call each."""
        return np.stack([self.subject.encode([self.texts[place]])[0] for place in self.probes])

    @cached_property
    def among(self) -> Vectors:
        """The probes in one call and one batch, the longest first."""
        batch = [self.texts[place] for place in reversed(self.probes)]
        return self.subject.encode(batch, batch_size=len(batch))[::-1]

    @cached_property
    def graph_probes(self) -> list[int]:
        """Places of the texts that the graph itself gets."""
        return self._spread(_GRAPH_PROBES)

    @cached_property
    def graph_runs(self) -> "GraphRuns":
        """The graph without the loader."""
        return GraphRuns(self)

    @cached_property
    def tokens_read(self) -> int | None:
        """Tokens that the loader reads of a long text; None if the vocabulary is too small.

        Two texts that begin alike and go on differently give one vector if, and only if, what
        is read of them ends before they part.
        """
        words = self.tokens.two_words()
        if words is None:
            return None
        limit = self.tokens.limit
        if self._reads_the_limit(words):
            return limit
        low, high = 3, 2 * limit
        while low < high:
            middle = (low + high) // 2
            if self._same(middle, words):
                high = middle
            else:
                low = middle + 1
        return low

    def _reads_the_limit(self, words: tuple[str, str]) -> bool:
        """Whether a text's last token within the limit is read, and the next one is not."""
        limit = self.tokens.limit
        start = exact(limit - 1, self.tokens.count)
        if self.tokens.count(start) != limit - 1:
            return False  # no text parts just there: the search will tell
        one, other = words
        tails = ([one] * limit, [one, *[other] * limit], [other] * limit)
        text, later, sooner = (self.subject.encode([" ".join([start, *tail])])[0] for tail in tails)
        return _alike(text, later) and not _alike(text, sooner)

    def _same(self, parting: int, words: tuple[str, str]) -> bool:
        start = exact(parting, self.tokens.count)
        tails = [" ".join([start, *[word] * self.tokens.limit]) for word in words]
        first, second = (self.subject.encode([text])[0] for text in tails)
        return _alike(first, second)

    def _spread(self, count: int) -> list[int]:
        """Places of `count` texts whose lengths are spread from the shortest to the longest."""
        lengths = self.tokens.lengths
        order = sorted(range(len(lengths)), key=lambda place: (lengths[place], place))
        # Denser among the longer ones: there are few of them in the corpus.
        steps = 1 - (1 - np.linspace(0, 1, count)) ** 2
        return [order[place] for place in sorted({int(s * (len(order) - 1)) for s in steps})]


def _alike(first: Vectors, second: Vectors) -> bool:
    return bool(np.abs(first - second).max() <= 1e-6)


class GraphRuns:
    """A few texts through the graph itself: each without padding, and all padded to the limit.

    Attributes:
        places: of the texts in the corpus.
        bare: vectors without padding, float32, (places, dimension).
        padded: vectors of one block padded to the limit.
        pooled: `last_hidden_state` of that block pooled as configured, float64; None if the graph
            has only one of the two outputs.
    """

    def __init__(self, trial: Trial) -> None:
        subject, tokens = trial.subject, trial.tokens
        self.places = trial.graph_probes
        rows = [tokens.ids[place] for place in self.places]
        graph = subject.open_graph()
        try:
            singles = [pad([row], fill=tokens.fill) for row in rows]
            bare = [sentence(graph.run(*one), one[1], subject)[0] for one in singles]
            block = pad(rows, to=tokens.limit, fill=tokens.fill)
            outputs = graph.run(*block)
        finally:
            graph.close()
        self.bare = np.stack(bare)
        self.padded = sentence(outputs, block[1], subject)
        found = named(outputs)
        self.pooled = None
        if found.sentence is not None and found.states is not None:
            self.pooled = pool(found.states, block[1], subject.pooling)


def sentence(outputs: Any, mask: npt.NDArray[Any], subject: Subject) -> Vectors:
    """Sentence vectors of a graph's outputs, pooled as configured if it gives only token vectors.

    Args:
        outputs: name to array.
        mask: int64, (batch, tokens).
        subject: tells the pooling.

    Returns:
        float32, (batch, dimension); of unit length only if the graph, or the model, says so.
    """
    found = named(outputs)
    vectors = found.pooled(mask, subject.pooling)
    if found.sentence is None and subject.normalized:
        vectors = unit(vectors)
    return np.asarray(vectors, dtype=np.float32)
