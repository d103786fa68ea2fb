"""Scores on sentence pairs that people have labelled, as the STS benchmark does."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from minilm.runtime.errors import UsageError
from minilm.verify.gates import Measured, judge
from minilm.verify.golden import GoldenReference
from minilm.verify.ranking import cosines, ranks, spearman
from minilm.verify.reference import Reference
from minilm.verify.report import GateResult, shorten
from minilm.verify.subject import Subject

__all__ = ["Labelled", "LabelledFileError", "Pair", "judge_drop", "label", "read_pairs", "score"]

Similarities = npt.NDArray[np.float64]


class LabelledFileError(UsageError):
    """A file of labelled pairs cannot be read; the message names the file and the line."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two sentences and how alike people found them, on any scale."""

    first: str
    second: str
    label: float


def read_pairs(path: Path) -> tuple[Pair, ...]:
    """Read "sentence, sentence, score" rows: CSV, or TSV if the name ends in .tsv.

    A first row whose score is no number is a header.

    Raises:
        LabelledFileError: not readable, not UTF-8, a row without three fields or without a finite
            number, or fewer than two pairs.
    """
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    pairs = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, delimiter=delimiter, strict=True)
            for row in rows:
                if not row:
                    continue
                label = _number(row[2]) if len(row) == 3 else None
                if label is not None:
                    pairs.append(Pair(first=row[0], second=row[1], label=label))
                elif pairs or rows.line_num > 1 or len(row) != 3:
                    raise LabelledFileError(
                        f"{path}, line {rows.line_num}: expected sentence, sentence, score; "
                        f"found {len(row)} fields"
                        + (f" with the score {row[2]!r}" if len(row) == 3 else "")
                    )
    except (OSError, UnicodeDecodeError) as error:
        raise LabelledFileError(f"cannot read the labelled pairs {path}: {error}") from error
    except csv.Error as error:
        raise LabelledFileError(f"{path}, line {rows.line_num}: {error}") from error
    if len(pairs) < 2:
        raise LabelledFileError(f"{path} has {len(pairs)} pairs: a correlation needs at least 2")
    return tuple(pairs)


def score(encoder: Subject | Reference, pairs: Sequence[Pair]) -> float:
    """Spearman's correlation of cosines and labels, as MTEB reports it."""
    return _correlation(_similarities(encoder, pairs), pairs)


def _correlation(similarities: Similarities, pairs: Sequence[Pair]) -> float:
    return spearman(similarities, np.array([pair.label for pair in pairs]))


def _similarities(encoder: Subject | Reference, pairs: Sequence[Pair]) -> Similarities:
    """Cosine of each pair: float64, (pairs,)."""
    texts = list(dict.fromkeys(text for pair in pairs for text in (pair.first, pair.second)))
    places = {text: place for place, text in enumerate(texts)}
    vectors = encoder.encode(texts)
    first = vectors[[places[pair.first] for pair in pairs]]
    second = vectors[[places[pair.second] for pair in pairs]]
    return cosines(first, second)


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Pairs, and the cosines that the original gives them.

    Attributes:
        pairs: in the order of the file.
        original: float64, (pairs,); None where only golden vectors are known.
    """

    pairs: tuple[Pair, ...]
    original: Similarities | None


def label(reference: Reference, pairs: Sequence[Pair]) -> Labelled:
    """Embed the pairs with the original."""
    known = not isinstance(reference, GoldenReference)
    return Labelled(pairs=tuple(pairs), original=_similarities(reference, pairs) if known else None)


def judge_drop(subject: Subject, labelled: Labelled, threshold: float | None) -> GateResult | str:
    """The gate "sts-drop", or a note that says why it was left out."""
    if threshold is None:
        return "gate sts-drop: switched off by the policy"
    found = _similarities(subject, labelled.pairs)
    ours = _correlation(found, labelled.pairs)
    if labelled.original is None:
        return (
            "gate sts-drop: left out, since PyTorch is not installed here; the artifact's "
            f"Spearman correlation is {ours:.5f}"
        )
    theirs = _correlation(labelled.original, labelled.pairs)
    detail = f"Spearman correlation {ours:.5f}, the original's {theirs:.5f}"
    moved = np.abs(ranks(found) - ranks(labelled.original))
    pair = labelled.pairs[int(np.argmax(moved))]
    worst = f"{shorten(pair.first, 40)} / {shorten(pair.second, 40)}" if moved.any() else ""
    measured = Measured(figure=theirs - ours, worst=worst, detail=detail)
    return judge("sts-drop", measured, threshold)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
