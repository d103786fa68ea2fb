"""Every variant of a bundle against PyTorch: the figures that an int8 graph has to reach."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from minilm.runtime import manifest as manifests
from minilm.runtime.hardware.cpu import available_cores
from minilm.verify.candidates import BundleCandidate
from minilm.verify.candidates.graph_session import match_outputs, pad_batch
from minilm.verify.metrics import l2_normalize, rowwise_cosine, spearman, top_k_overlap
from minilm.verify.reference import PyTorchReference
from minilm.verify.reference.sts_pairs import SentencePair, read_sts_pairs

from benchmarks import machine
from benchmarks.beside import texts_of
from benchmarks.tables import heading, markdown

__all__ = ["Figures", "Truth", "judge", "run", "table"]

_PROBES: Final = 64
_BATCH_TEXTS: Final = 15

Vectors = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The original on the texts.

    Attributes:
        short: texts, each once.
        long: texts of 256 tokens.
        queries: places of the short texts whose nearest are compared.
        short_vectors: float32, (short, dimension).
        long_vectors: float32, (long, dimension).
        probes: places of the short texts that are put into padded batches.
        ids: token ids of these and, last, of a long text.
        pairs: labelled pairs of the short texts; none without an STS file.
    """

    short: tuple[str, ...]
    long: tuple[str, ...]
    queries: tuple[int, ...]
    short_vectors: Vectors
    long_vectors: Vectors
    probes: tuple[int, ...]
    ids: tuple[tuple[int, ...], ...]
    pairs: tuple[SentencePair, ...]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One line of the table; `sts_drop` is None without labelled pairs."""

    name: str
    mean: float
    minimum: float
    long_minimum: float
    batch_minimum: float
    sts_drop: float | None
    overlap: float


def run(bundle: Path, texts: Path | None, sts: Path | None, output: Path) -> str:
    """Measure every variant; write and give the report.

    Raises:
        ToolkitError: the bundle or the weights cannot be loaded, or the STS file cannot be read.
    """
    pairs = read_sts_pairs(sts) if sts else ()
    found, _ = texts_of(bundle, texts or sts, None)
    short = tuple(dict.fromkeys(found.short))
    # In a file of pairs the first sentences ask; in a list of texts, all do.
    asking = {pair.first for pair in pairs} or set(short)
    reference = PyTorchReference(threads=available_cores()[0])
    spread = np.unique(np.linspace(0, len(short) - 1, _PROBES).astype(int))
    truth = Truth(
        short=short,
        long=found.long,
        queries=tuple(place for place, text in enumerate(short) if text in asking),
        short_vectors=reference.encode(short),
        long_vectors=reference.encode(found.long),
        probes=tuple(spread.tolist()),
        ids=tuple(
            tuple(row)
            for row in reference.token_ids([*(short[place] for place in spread), found.long[0]])
        ),
        pairs=pairs,
    )
    manifest = manifests.read(bundle)
    figures = []
    for variant in manifest.variants:
        print(f"parity of {variant.name}", file=sys.stderr, flush=True)
        candidate = BundleCandidate(bundle, manifest, variant.name)
        figures.append(judge(candidate, truth))
        candidate.close()
    facts = [*machine.describe().items(), ("texts", found.source), ("against", reference.name)]
    text = heading("Parity", facts) + "\n" + table(figures)
    output.mkdir(parents=True, exist_ok=True)
    (output / "parity.md").write_text(text, encoding="utf-8")
    return text


def judge(candidate: BundleCandidate, truth: Truth) -> Figures:
    """The figures of one variant, through the loader but for the padded batch."""
    short = candidate.encode(truth.short)
    found = rowwise_cosine(short, truth.short_vectors)
    ours, theirs = l2_normalize(short), l2_normalize(truth.short_vectors)
    overlap = top_k_overlap(ours @ ours.T, theirs @ theirs.T)[list(truth.queries)]
    return Figures(
        name=candidate.name,
        mean=float(found.mean()),
        minimum=float(found.min()),
        long_minimum=float(rowwise_cosine(candidate.encode(truth.long), truth.long_vectors).min()),
        batch_minimum=_batch_minimum(candidate, truth),
        sts_drop=_score(truth.short_vectors, truth) - _score(short, truth) if truth.pairs else None,
        overlap=float(overlap.mean()),
    )


def table(figures: Sequence[Figures]) -> str:
    """The table, a line for each variant."""
    columns = (
        "variant",
        "cosine mean",
        "minimum",
        "long, minimum",
        "alone against in a padded batch, minimum",
        "Spearman drop on STS",
        "top-10 overlap",
    )
    rows = [
        (
            one.name,
            f"{one.mean:.5f}",
            f"{one.minimum:.4f}",
            f"{one.long_minimum:.4f}",
            f"{one.batch_minimum:.6f}",
            "not measured: no --sts" if one.sts_drop is None else f"{one.sts_drop:+.5f}",
            f"{one.overlap:.4f}",
        )
        for one in figures
    ]
    return markdown(columns, rows)


def _batch_minimum(candidate: BundleCandidate, truth: Truth) -> float:
    """Least cosine of a text alone to itself among others, padded to the length of a long one.

    Alone it goes through the loader. Among others the graph is run as it stands: the loader sorts
    by length, and so hides what padding does.
    """
    *probes, filler = truth.ids
    graph = candidate.open_graph()
    least = 1.0
    for first in range(0, len(probes), _BATCH_TEXTS):
        places = truth.probes[first : first + _BATCH_TEXTS]
        alone = np.concatenate([candidate.encode([truth.short[place]]) for place in places])
        block, mask = pad_batch([*probes[first : first + _BATCH_TEXTS], filler])
        among = match_outputs(graph.run(block, mask)).pooled(mask, candidate.pooling)[:-1]
        least = min(least, float(rowwise_cosine(alone, among).min()))
    graph.close()
    return least


def _score(vectors: Vectors, truth: Truth) -> float:
    places = {text: place for place, text in enumerate(truth.short)}
    first = vectors[[places[pair.first.strip()] for pair in truth.pairs]]
    second = vectors[[places[pair.second.strip()] for pair in truth.pairs]]
    return spearman(rowwise_cosine(first, second), np.array([pair.label for pair in truth.pairs]))
