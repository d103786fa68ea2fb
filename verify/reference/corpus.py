"""The built-in corpus: texts written for this project, on which every artifact is compared.

`corpus.json` holds the written texts by category. The texts of an exact length are made here, for
the limit and the tokenizer of the model that is judged, always the same ones.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

__all__ = [
    "CustomCorpus",
    "Sample",
    "build_corpus",
    "corpus_texts",
    "representative_subset",
    "text_of_length",
    "written_samples",
]

DEFAULT_LIMIT: Final = 256
"""Tokens that the default model reads, [CLS] and [SEP] included."""

_SHORT: Final = 16
"""Tokens up to which a text costs little: half of the corpus, a fifth of its tokens."""
_EVERY: Final = 6

_STORY: Final = (
    "the old bridge over the river was closed in the spring and the people of the two small towns "
    "had to take the long road through the hills to reach the market , the school and the doctor . "
    "some of them used a boat when the water was low . others left early in the morning with a "
    "horse and came back after dark . nobody knew how long the work would last , because the money "
    "for the new stone had not been found . a young woman who worked at the bank wrote a letter to "
    "the king and asked for help . he sent an engineer with a map , a box of tools and very little "
    "patience . in the first week he measured the banks , in the second he drew a plan , and in "
    "the third he told the council that the bridge could stand for another hundred years if they "
    "would only keep heavy wagons off it . so they put up a gate , paid a guard and went home ."
)
"""Each word is one token in the default vocabulary; a test holds that."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One text of a corpus and the kind of text it is ("question", "emoji", "length-257")."""

    text: str
    category: str


@dataclass(frozen=True, kw_only=True)
class CustomCorpus:
    """Texts that replace the written ones of the built-in corpus.

    Attributes:
        samples: Texts and their categories.
        description: Phrase for the report, such as "40 texts of queries.txt"; empty for none.
    """

    samples: tuple[Sample, ...]
    description: str = ""


def build_corpus(
    limit: int = DEFAULT_LIMIT,
    count: Callable[[str], int] | None = None,
    written: Sequence[Sample] | None = None,
) -> tuple[Sample, ...]:
    """Build the corpus for a model that reads `limit` tokens.

    Args:
        limit: Tokens, special ones included.
        count: Tokens of a text, special ones included, never truncated. Without it every word of
            the texts of exact length counts as one token, which holds for the default vocabulary.
        written: Texts in place of the written ones.

    Returns:
        The written texts (without any that follow), then texts that end just before, at and after
        half the limit (128 for the default model, where wrong conversions cut) and the limit, then
        two far over it.
    """
    middle = limit // 2
    around = {n + step for n in (middle, limit) for step in range(-2, 3)}
    lengths = [n for n in sorted(around | {2 * limit, 6 * limit}) if n > 2]
    counter = count or _count_words
    made = [
        Sample(text=text_of_length(n, counter, start=7 * place), category=f"length-{n}")
        for place, n in enumerate(lengths)
    ]
    known = {sample.text for sample in made}
    chosen = written_samples() if written is None else written
    return (*(sample for sample in chosen if sample.text not in known), *made)


def corpus_texts() -> tuple[str, ...]:
    """The texts of the corpus for the default model."""
    return tuple(sample.text for sample in build_corpus())


def representative_subset(lengths: Sequence[int], limit: int) -> list[int]:
    """Places of the texts that tell faults as well, in less than half the time.

    Faults of a graph show in texts of every length; long texts cost the most and differ the least.

    Args:
        lengths: tokens of each text, special ones included, not cut.
        limit: tokens that the model reads.

    Returns:
        In order: every short text, every sixth of those up to about half the limit, and those
        within one token of half the limit and of the limit.
    """
    around = {n + step for n in (limit // 2, limit) for step in (-1, 0, 1)}
    places = sorted(range(len(lengths)), key=lambda place: (lengths[place], place))
    middle = [place for place in places if _SHORT < lengths[place] < min(around)]
    kept = {*middle[::_EVERY], *(p for p in places if lengths[p] <= _SHORT or lengths[p] in around)}
    return sorted(kept)


def text_of_length(tokens: int, count: Callable[[str], int], *, start: int = 0) -> str:
    """A text of `tokens` tokens as `count` counts them, special ones included.

    Args:
        tokens: how many; where the tokenizer allows no such text, the nearest one below.
        count: tokens of a text, special ones included.
        start: the word of the story to begin with: another start, another text.
    """
    low, high = 0, tokens
    while low < high:
        middle = (low + high + 1) // 2
        if count(" ".join(_take(middle, start))) <= tokens:
            low = middle
        else:
            high = middle - 1
    words = [*_take(low, start)]
    for filler in ("the", ".", "a"):
        while words and count(" ".join([*words, filler])) <= tokens:
            words.append(filler)
    return " ".join(words)


def _take(words: int, start: int) -> Sequence[str]:
    story = _STORY.split()
    return [story[(start + place) % len(story)] for place in range(words)]


def _count_words(text: str) -> int:
    return len(text.split()) + 2


@cache
def written_samples() -> tuple[Sample, ...]:
    """The texts of `corpus.json`."""
    path = Path(__file__).with_name("corpus.json")
    data: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    return tuple(
        Sample(text=text, category=category) for category, block in data.items() for text in block
    )
