"""The texts that everything is measured on: short ones, and long ones made of them."""

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["CALIBRATION", "Texts", "TextsError", "built_in", "fill", "read_texts", "thinned"]

_OPTIMIZE: Final = Path(__file__).resolve().parents[1] / "optimize"
CALIBRATION: Final = next(_OPTIMIZE.rglob("calibration.txt"))
"""The project's calibration texts, wherever `optimize` keeps them."""

LONG_TOKENS: Final = 256
_PAIR_SUFFIXES: Final = {".csv": ",", ".tsv": "\t"}
_FILLER: Final = "the"


class TextsError(ValueError):
    """A file of texts cannot be used; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Texts:
    """What is embedded.

    Attributes:
        short: sentences.
        long: texts of 256 tokens each.
        source: where they are from, for the report.
    """

    short: tuple[str, ...]
    long: tuple[str, ...]
    source: str


def read_texts(path: Path) -> tuple[str, ...]:
    """Read a .csv or .tsv of sentence pairs (further columns are not used), else text lines.

    Raises:
        TextsError: not readable, not UTF-8, a row without two fields, or fewer than two texts.
    """
    delimiter = _PAIR_SUFFIXES.get(path.suffix.lower())
    try:
        with path.open(encoding="utf-8", newline="") as file:
            if delimiter is None:
                found = [line.strip() for line in file]
            else:
                found = list(_pairs(path, csv.reader(file, delimiter=delimiter)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TextsError(f"cannot read the texts {path}: {error}") from error
    texts = tuple(text for text in found if text)
    if len(texts) < 2:
        raise TextsError(f"{path} has {len(texts)} texts: at least 2 are needed")
    return texts


def built_in() -> tuple[str, ...]:
    """The sentences of the calibration corpus, which is the project's own."""
    lines = CALIBRATION.read_text(encoding="utf-8").splitlines()
    sentences = (part for line in lines for part in re.split(r"(?<=[.?!])\s+", line.strip()))
    return tuple(dict.fromkeys(text for text in sentences if len(text.split()) > 2))


def fill(
    words: Sequence[str], count: int, tokens_of: Callable[[str], int], *, tokens: int = LONG_TOKENS
) -> tuple[str, ...]:
    """Texts of an exact length, each of the words that follow the last one's.

    Args:
        words: used over again when they end.
        count: of texts.
        tokens_of: tokens of a word, special ones not counted.
        tokens: of a text, [CLS] and [SEP] counted.
    """
    room, place, texts = tokens - 2, 0, []
    lengths = [tokens_of(word) for word in words]
    if not any(0 < length <= room for length in lengths):
        raise TextsError(f"none of the {len(words)} words fits a text of {tokens} tokens")
    for _ in range(count):
        taken: list[str] = []
        left = room
        while lengths[place % len(words)] <= left:
            taken.append(words[place % len(words)])
            left -= lengths[place % len(words)]
            place += 1
            if left == 0:
                break
        texts.append(" ".join([*taken, *[_FILLER] * left]))
    return tuple(texts)


def thinned(texts: Sequence[str], seconds: float, limit_seconds: float) -> int:
    """Which every how-manyeth text to take, so that `seconds` for all become at most the limit."""
    step = 1
    while seconds / step > limit_seconds and len(texts) // (step + 1) >= 8:
        step += 1
    return step


def _pairs(path: Path, rows: Iterable[list[str]]) -> Iterable[str]:
    for number, row in enumerate(rows, 1):
        if not row:
            continue
        if len(row) < 2:
            raise TextsError(f"{path}, row {number}: expected two sentences, found one")
        yield from row[:2]
