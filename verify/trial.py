"""One variant on the stand: what it gives for the corpus, measured once and kept for the gates."""

from collections.abc import Iterator, Sequence
from copy import copy
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from minilm.verify.corpus import Sample, exact
from minilm.verify.graphs import named, pad, pool
from minilm.verify.ranking import cosines, unit
from minilm.verify.reference import Vectors
from minilm.verify.subject import Subject

__all__ = ["Tokens", "Trial"]


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

    def at(self, places: Sequence[int]) -> "Tokens":
        """The same of some of the texts."""
        some = copy(self)
        some.lengths = [self.lengths[place] for place in places]
        some.ids = [self.ids[place] for place in places]
        return some

    def count(self, text: str) -> int:
        """Tokens of a text, special ones included."""
        return len(self._tokenizer.encode(text).ids)

    @cached_property
    def two_words(self) -> tuple[str, str] | None:
        """Two words that are one token each, and not the same; None if there are none."""
        known: dict[int, str] = {}
        for word in self._words():
            ids = self._tokenizer.encode(word, add_special_tokens=False).ids
            if len(ids) == 1 and self._tokenizer.id_to_token(ids[0]) != "[UNK]":
                known.setdefault(ids[0], word)
            if len(known) == 2:
                first, second = known.values()
                return first, second
        return None

    def _words(self) -> Iterator[str]:
        yield from ("water", "music", "green")
        # Only where these are unknown: listing a vocabulary of 30,000 words takes its time.
        yield from sorted(word for word in self._tokenizer.get_vocab() if word.isalpha())


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
        """Places of texts of all lengths, the longest first, each about half as long as the last.

        Where a backend compiles a shape of its own for lengths that come often, none of these
        comes often enough to change its kernels between two calls that a gate compares.
        """
        lengths = np.minimum(self.tokens.lengths, self.tokens.limit)
        halves = [self.tokens.limit >> step for step in range(1, self.tokens.limit.bit_length())]
        near = [int(np.argmin(np.abs(lengths - half))) for half in halves if half >= 2]
        return list(dict.fromkeys([int(np.argmax(self.tokens.lengths)), *near]))

    @cached_property
    def alone(self) -> Vectors:
        """The probes, one call each."""
        return self._one_by_one(self.probes)

    @cached_property
    def again(self) -> Vectors:
        """All but the longest a second time; whoever asks for them has asked for `alone` before."""
        return self._one_by_one(self.probes[1:])

    def _one_by_one(self, places: Sequence[int]) -> Vectors:
        return np.stack([self.subject.encode([self.texts[place]])[0] for place in places])

    @cached_property
    def graph_probes(self) -> list[int]:
        """Places of the texts that the graph itself gets: probes that leave room for padding."""
        lengths = self.tokens.lengths
        short = [place for place in self.probes if lengths[place] < self.tokens.limit]
        some = [*short[:1], *short[len(short) // 2 :][:1], *short[-1:]]
        return list(dict.fromkeys(some)) or self.probes

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
        words = self.tokens.two_words
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
        text, later, sooner = self.subject.encode([" ".join([start, *tail]) for tail in tails])
        return _alike(text, later) and not _alike(text, sooner)

    def _same(self, parting: int, words: tuple[str, str]) -> bool:
        start = exact(parting, self.tokens.count)
        tails = [" ".join([start, *[word] * self.tokens.limit]) for word in words]
        # In one call: a scale over the batch, or a graph compiled meanwhile, is the same for both.
        first, second = self.subject.encode(tails)
        return _alike(first, second)


def _alike(first: Vectors, second: Vectors) -> bool:
    return bool(np.abs(first - second).max() <= 1e-6)


class GraphRuns:
    """A few texts through the graph itself, without the loader.

    Attributes:
        places: of the texts in the corpus, the longest first.
        bare: each alone, without padding, float32, (places, dimension).
        mixed: all but the longest in one block, padded to the longest of them; float32,
            (places - 1, dimension).
        mixed_again: the same block a second time, after others.
        padded: all in one block, padded to the limit.
        pooled: `last_hidden_state` of that block pooled as configured, float64; None if the graph
            has only one of the two outputs.
    """

    def __init__(self, trial: Trial) -> None:
        subject, tokens = trial.subject, trial.tokens
        self.places = trial.graph_probes
        rows = [tokens.ids[place] for place in self.places]
        graph = subject.open_graph()

        def run(block: tuple[npt.NDArray[Any], npt.NDArray[Any]]) -> Vectors:
            return sentence(graph.run(*block), block[1], subject)

        try:
            self.bare = np.concatenate([run(pad([row], fill=tokens.fill)) for row in rows])
            shorter = pad(rows[1:] or rows, fill=tokens.fill)
            self.mixed = run(shorter)
            block = pad(rows, to=tokens.limit, fill=tokens.fill)
            outputs = graph.run(*block)
            self.mixed_again = run(shorter)
        finally:
            graph.close()
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
