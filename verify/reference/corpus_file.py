"""Texts of the user's own to verify on: UTF-8, one a line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from minilm.runtime.errors import UsageError
from minilm.verify.reference.corpus import CustomCorpus, Sample

__all__ = ["MAX_TEXTS", "MIN_TEXTS", "CorpusFileError", "read_corpus_file"]

MIN_TEXTS: Final = 32
"""With fewer texts, top-10 overlap is close to 1 for any model and the gate cannot fail."""

MAX_TEXTS: Final = 2000
"""Rankings compare each text with each other; and PyTorch embeds some 100 texts a second."""


class CorpusFileError(UsageError):
    """A file of texts cannot be used; the message names the file and what is wrong."""


def read_corpus_file(path: Path) -> CustomCorpus:
    """Read a file of texts, in memory that does not grow with it.

    Blank lines and repeated texts are left out. Of more than `MAX_TEXTS` lines as many are taken,
    evenly spread from the first to the last, always the same ones.

    Raises:
        CorpusFileError: not readable, not UTF-8, binary, or fewer than `MIN_TEXTS` different texts.
    """
    try:
        total = sum(1 for _ in _lines(path))
        count = min(total, MAX_TEXTS)
        wanted = {place * (total - 1) // max(1, count - 1) for place in range(count)}
        chosen = (text for place, text in enumerate(_lines(path)) if place in wanted)
        texts = tuple(dict.fromkeys(chosen))
    except OSError as error:
        raise CorpusFileError(f"cannot read the texts of {path}: {error.strerror}") from error
    if len(texts) < MIN_TEXTS:
        raise CorpusFileError(
            f"{path} has {len(texts)} different text{'s' * (len(texts) != 1)}: at least "
            f"{MIN_TEXTS} are needed, one a line"
        )
    description = f"{len(texts)} texts of {path.name}"
    if total > count:
        description += (
            f", evenly spread over its {total} lines of text (at most {MAX_TEXTS} are used)"
        )
    samples = tuple(Sample(text=text, category="own") for text in texts)
    return CustomCorpus(samples=samples, description=description)


def _lines(path: Path) -> Iterator[str]:
    """Lines that are not blank, without their ends."""
    offset = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                # A byte order mark belongs to the file, not to its first text.
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip("\r\n")
            except UnicodeDecodeError as error:
                # "utf-8-sig" counts from behind the mark.
                place = offset + len(raw) - len(error.object) + error.start
                raise CorpusFileError(
                    f"{path} is not UTF-8: byte 0x{error.object[error.start]:02x} at offset "
                    f"{place}, line {number}"
                ) from error
            if "\0" in text:
                raise CorpusFileError(
                    f"{path} is no text: line {number} has a zero byte; give UTF-8, one text a line"
                )
            offset += len(raw)
            if text.strip():
                yield text
