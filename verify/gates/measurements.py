"""Measurements of one variant, taken once and shared by its gates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from minilm.runtime.manifest import Variant
from minilm.verify.candidates.base import Candidate
from minilm.verify.candidates.graph_backends import Outputs
from minilm.verify.candidates.graph_info import GraphInfo
from minilm.verify.candidates.graph_session import (
    GraphSession,
    match_outputs,
    pad_batch,
    pool,
)
from minilm.verify.gates.base import Measurement
from minilm.verify.metrics import l2_normalize, rowwise_cosine
from minilm.verify.reference.base import Embeds, Vectors
from minilm.verify.reference.baseline import Baseline
from minilm.verify.reference.corpus import Sample, text_of_length
from minilm.verify.reference.sts_pairs import Similarities, StsBaseline, pair_similarities
from minilm.verify.results import quote, shorten
from minilm.verify.tokenizer import TokenizedCorpus

__all__ = [
    "RawGraphOutputs",
    "VariantMeasurements",
    "graph_probes",
    "lowest",
    "measure_variant",
    "select_probes",
]


@dataclass(frozen=True, kw_only=True)
class RawGraphOutputs:
    """A few texts through the graph itself, without the loader.

    Attributes:
        places: Indices of the texts in the corpus, the longest first.
        bare: Each text alone, without padding; float32, (places, dimension).
        mixed: All but the longest in one block, padded to the longest of them; float32,
            (places - 1, dimension).
        mixed_again: The same block a second time, after others.
        padded: All in one block, padded to the limit; float32, (places, dimension).
        pooled: `last_hidden_state` of that block pooled as configured, float64; None if the graph
            has only one of the two outputs.
    """

    places: tuple[int, ...]
    bare: Vectors
    mixed: Vectors
    mixed_again: Vectors
    padded: Vectors
    pooled: npt.NDArray[np.float64] | None


@dataclass(frozen=True, kw_only=True)
class VariantMeasurements:
    """Everything that the gates of one variant need.

    Attributes:
        samples: Texts of the corpus.
        tokens: The same texts as the artifact's tokenizer splits them.
        original: The original's vectors, float32, (texts, dimension).
        vectors: The candidate's vectors through its loader, float32, (texts, dimension).
        cosines: Cosine of `vectors` to the original, float64, (texts,).
        probes: Indices of texts of all lengths, the longest first, each about half as long as the
            last.
        alone: The probes, embedded one call each; float32, (probes, dimension).
        again: The probes except the longest, embedded a second time; float32,
            (probes - 1, dimension).
        graph: A few of the probes through the graph itself.
        tokens_read: Tokens that the loader reads of a long text; None if the vocabulary has no two
            words of one token.
        sts: Labelled pairs; None without any.
        sts_similarities: The candidate's cosine of each pair, float64, (pairs,); None without any.
        normalized: Whether the graph's sentence vectors should have unit length.
        thread_counts: Threads per text of the loader, and of the graph.
        kind: "target/precision".
        promised: The manifest's entry of the graph; None without a manifest.
        graph_file: Name of the graph's file.
        graph_info: Contents of that file; None if the library that reads it is not installed.
    """

    samples: tuple[Sample, ...]
    tokens: TokenizedCorpus
    original: Vectors
    vectors: Vectors
    cosines: npt.NDArray[np.float64]
    probes: tuple[int, ...]
    alone: Vectors
    again: Vectors
    graph: RawGraphOutputs
    tokens_read: int | None
    sts: StsBaseline | None
    sts_similarities: Similarities | None
    normalized: bool
    thread_counts: tuple[int, int]
    kind: str
    promised: Variant | None
    graph_file: str
    graph_info: GraphInfo | None

    def text_name(self, place: int) -> str:
        """Name a text of the corpus in a report."""
        sample, tokens = self.samples[place], self.tokens.lengths[place]
        return f"{quote(shorten(sample.text))} ({sample.category}, {tokens} tokens)"


def lowest(
    measurements: VariantMeasurements,
    values: npt.NDArray[np.float64],
    places: Sequence[int] | None = None,
) -> Measurement:
    """The lowest of `values`, with the text that it belongs to.

    Args:
        measurements: Measurements that name the texts.
        values: float64, (places,), or (texts,) without `places`.
        places: Indices of the texts in the corpus.
    """
    row = int(np.argmin(values))
    place = places[row] if places else row
    return Measurement(figure=float(values[row]), worst=measurements.text_name(place))


def measure_variant(candidate: Candidate, baseline: Baseline) -> VariantMeasurements:
    """Take all measurements of a candidate, and close it.

    The order matters: `again` repeats `alone` after other work, and a backend that compiles a shape
    of its own for lengths that come often must not do so between two calls that a gate compares.

    Raises:
        InvalidArtifact: Its graph cannot be opened or understood.
        BackendUnavailable: Its backend is not installed.
    """
    tokens = baseline.tokens
    texts = [sample.text for sample in baseline.samples]
    probes = select_probes(tokens)
    try:
        vectors = candidate.encode(texts)
        graph = _run_graph(candidate, tokens, graph_probes(probes, tokens))
        alone = _one_by_one(candidate, [texts[place] for place in probes])
        tokens_read = _tokens_read(candidate, tokens)
        shorter = [texts[place] for place in probes[1:]]
        again = _one_by_one(candidate, shorter) if shorter else alone[:0]
        similarities = (
            pair_similarities(candidate, baseline.sts.pairs) if baseline.sts is not None else None
        )
    finally:
        candidate.close()
    return VariantMeasurements(
        samples=baseline.samples,
        tokens=tokens,
        original=baseline.vectors,
        vectors=vectors,
        cosines=rowwise_cosine(vectors, baseline.vectors),
        probes=tuple(probes),
        alone=alone,
        again=again,
        graph=graph,
        tokens_read=tokens_read,
        sts=baseline.sts,
        sts_similarities=similarities,
        normalized=candidate.normalized,
        thread_counts=candidate.thread_counts,
        kind=candidate.kind,
        promised=candidate.promised,
        graph_file=candidate.files[0].name,
        graph_info=candidate.read_graph(),
    )


def select_probes(tokens: TokenizedCorpus) -> list[int]:
    """Indices of texts of all lengths, the longest first, each about half as long as the last.

    Where a backend compiles a shape of its own for lengths that come often, none of these comes
    often enough to change its kernels between two calls that a gate compares.
    """
    lengths = np.minimum(tokens.lengths, tokens.limit)
    halves = [tokens.limit >> step for step in range(1, tokens.limit.bit_length())]
    near = [int(np.argmin(np.abs(lengths - half))) for half in halves if half >= 2]
    return list(dict.fromkeys([int(np.argmax(tokens.lengths)), *near]))


def graph_probes(probes: Sequence[int], tokens: TokenizedCorpus) -> list[int]:
    """Indices of the texts that the graph itself gets: probes that leave room for padding."""
    short = [place for place in probes if tokens.lengths[place] < tokens.limit]
    some = [*short[:1], *short[len(short) // 2 :][:1], *short[-1:]]
    return list(dict.fromkeys(some)) or list(probes)


def _run_graph(
    candidate: Candidate, tokens: TokenizedCorpus, places: Sequence[int]
) -> RawGraphOutputs:
    rows = [tokens.ids[place] for place in places]
    session = candidate.open_graph()
    try:
        bare = [
            _sentences(session, pad_batch([row], fill=tokens.fill), candidate)[0] for row in rows
        ]
        shorter = pad_batch(rows[1:] or rows, fill=tokens.fill)
        mixed, _ = _sentences(session, shorter, candidate)
        block = pad_batch(rows, to=tokens.limit, fill=tokens.fill)
        padded, outputs = _sentences(session, block, candidate)
        mixed_again, _ = _sentences(session, shorter, candidate)
    finally:
        session.close()
    found = match_outputs(outputs)
    pooled = None
    if found.sentence is not None and found.states is not None:
        pooled = pool(found.states, block[1], candidate.pooling)
    return RawGraphOutputs(
        places=tuple(places),
        bare=np.concatenate(bare),
        mixed=mixed,
        mixed_again=mixed_again,
        padded=padded,
        pooled=pooled,
    )


def _sentences(
    session: GraphSession,
    block: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    candidate: Candidate,
) -> tuple[Vectors, Outputs]:
    """Sentence vectors of a block, pooled as configured if the graph gives only token vectors.

    Returns:
        float32, (batch, dimension), of unit length only if the graph, or the model, says so; and
        all outputs by name.
    """
    outputs = session.run(*block)
    found = match_outputs(outputs)
    vectors = found.pooled(block[1], candidate.pooling)
    if found.sentence is None and candidate.normalized:
        vectors = l2_normalize(vectors)
    return np.asarray(vectors, dtype=np.float32), outputs


def _one_by_one(encoder: Embeds, texts: Sequence[str]) -> Vectors:
    return np.stack([encoder.encode([text])[0] for text in texts])


def _tokens_read(encoder: Embeds, tokens: TokenizedCorpus) -> int | None:
    """Tokens that the loader reads of a long text; None if the vocabulary is too small.

    Two texts that begin alike and go on differently give one vector if, and only if, what is read
    of them ends before they part.
    """
    words = tokens.two_words
    if words is None:
        return None
    if _reads_the_limit(encoder, tokens, words):
        return tokens.limit
    low, high = 3, 2 * tokens.limit
    while low < high:
        middle = (low + high) // 2
        if _same(encoder, tokens, middle, words):
            high = middle
        else:
            low = middle + 1
    return low


def _reads_the_limit(encoder: Embeds, tokens: TokenizedCorpus, words: tuple[str, str]) -> bool:
    """Whether a text's last token within the limit is read, and the next one is not."""
    limit = tokens.limit
    start = text_of_length(limit - 1, tokens.count)
    if tokens.count(start) != limit - 1:
        return False  # no text parts just there: the search will tell
    one, other = words
    tails = ([one] * limit, [one, *[other] * limit], [other] * limit)
    text, later, sooner = encoder.encode([" ".join([start, *tail]) for tail in tails])
    return _alike(text, later) and not _alike(text, sooner)


def _same(encoder: Embeds, tokens: TokenizedCorpus, parting: int, words: tuple[str, str]) -> bool:
    start = text_of_length(parting, tokens.count)
    tails = [" ".join([start, *[word] * tokens.limit]) for word in words]
    # In one call: a scale over the batch, or a graph compiled meanwhile, is the same for both.
    first, second = encoder.encode(tails)
    return _alike(first, second)


def _alike(first: Vectors, second: Vectors) -> bool:
    return bool(np.abs(first - second).max() <= 1e-6)
