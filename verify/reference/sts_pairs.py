"""Scores on sentence pairs that people have labelled, as the STS benchmark does."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from minilm.runtime.errors import UsageError
from minilm.verify.metrics import rowwise_cosine, spearman
from minilm.verify.reference.base import Embeds, Reference

__all__ = [
    "MIN_PAIRS",
    "SentencePair",
    "Similarities",
    "StsBaseline",
    "StsFileError",
    "label_correlation",
    "pair_similarities",
    "read_sts_pairs",
    "score_pairs",
]

MIN_PAIRS: Final = 32
"""For 32 unrelated pairs the correlation is within 0.35 of 0, 95 times of 100 (1.96 / sqrt(31))."""

Similarities = npt.NDArray[np.float64]


class StsFileError(UsageError):
    """A file of labelled pairs cannot be read; the message names the file and the line."""


@dataclass(frozen=True, kw_only=True)
class SentencePair:
    """Two sentences and how alike people found them, on any scale."""

    first: str
    second: str
    label: float


def read_sts_pairs(path: Path) -> tuple[SentencePair, ...]:
    """Read "sentence, sentence, score" rows: CSV, or TSV if the name ends in .tsv.

    A first row whose score is no number is a header.

    Raises:
        StsFileError: not readable, not UTF-8, a row without three fields or without a finite
            number, fewer than `MIN_PAIRS` pairs, or one score for all of them.
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
                    pairs.append(SentencePair(first=row[0], second=row[1], label=label))
                elif pairs or rows.line_num > 1 or len(row) != 3:
                    raise StsFileError(
                        f"{path}, line {rows.line_num}: expected sentence, sentence, score; "
                        f"found {len(row)} fields"
                        + (f" with the score {row[2]!r}" if len(row) == 3 else "")
                    )
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise StsFileError(f"cannot read the labelled pairs {path}: {reason}") from error
    except csv.Error as error:
        raise StsFileError(f"{path}, line {rows.line_num}: {error}") from error
    if len(pairs) < MIN_PAIRS:
        raise StsFileError(
            f"{path} has {len(pairs)} pair{'s' * (len(pairs) != 1)}: at least {MIN_PAIRS} are "
            "needed, for fewer the correlation says little"
        )
    if len({pair.label for pair in pairs}) == 1:
        raise StsFileError(f"{path} gives every pair the score {pairs[0].label:g}: nothing to rank")
    return tuple(pairs)


def pair_similarities(encoder: Embeds, pairs: Sequence[SentencePair]) -> Similarities:
    """Cosine of each pair: float64, (pairs,)."""
    texts = list(dict.fromkeys(text for pair in pairs for text in (pair.first, pair.second)))
    rows = {text: row for row, text in enumerate(texts)}
    vectors = encoder.encode(texts)
    first = vectors[[rows[pair.first] for pair in pairs]]
    second = vectors[[rows[pair.second] for pair in pairs]]
    return rowwise_cosine(first, second)


def label_correlation(similarities: Similarities, pairs: Sequence[SentencePair]) -> float:
    """Spearman's correlation of similarities and labels, as MTEB reports it."""
    return spearman(similarities, np.array([pair.label for pair in pairs]))


@dataclass(frozen=True, kw_only=True)
class StsBaseline:
    """Labelled pairs, and the cosines that the original gives them.

    Attributes:
        pairs: Pairs in the order of the file.
        original: Cosines, float64, (pairs,); None where only golden vectors are known.
    """

    pairs: tuple[SentencePair, ...]
    original: Similarities | None


def score_pairs(reference: Reference, pairs: Sequence[SentencePair]) -> StsBaseline:
    """Embed the pairs with the original, if it can embed any text."""
    original = pair_similarities(reference, pairs) if reference.corpus is None else None
    return StsBaseline(pairs=tuple(pairs), original=original)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
