"""The calibration texts: the project's own, or a file of the user's."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from minilm.runtime.errors import UsageError

__all__ = ["MIN_TEXTS", "read_texts", "texts"]

_SPECIAL_TOKENS: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MIN_TEXTS: Final = 32
"""Fewer texts leave channels of a 1,536-wide layer without a typical value."""


def texts() -> tuple[str, ...]:
    """The project's own corpus, which shares no text with the one that `verify` uses."""
    file = files("minilm.optimize.calibration").joinpath("calibration.txt")
    return (*file.read_text("utf-8").splitlines(), *_special_texts())


def _special_texts() -> tuple[str, ...]:
    """Special tokens written in a text, which a tokenizer takes for the real ones.

    No sentence has them, and their vectors are unlike all others.
    """
    short = [" ".join([token] * count) for token in _SPECIAL_TOKENS for count in (2, 24)]
    return (*short, " ".join(["[PAD]"] * 250), "! " * 40, "... " * 60)


def read_texts(path: Path) -> tuple[str, ...]:
    """Read the user's own corpus: UTF-8, one text a line, blank lines skipped.

    Raises:
        UsageError: missing, not UTF-8 text, or fewer than `MIN_TEXTS` texts.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _refused(
            f"calibration file {path} is not UTF-8 text (byte {error.start}): give at least "
            f"{MIN_TEXTS} texts, one a line"
        ) from error
    except OSError as error:
        raise _refused(f"cannot read calibration file {path}: {error.strerror}") from error
    if "\0" in content:
        raise _refused(
            f"calibration file {path} is binary: give at least {MIN_TEXTS} texts in UTF-8, one a "
            "line"
        )
    found = tuple(line for line in content.splitlines() if line.strip())
    if len(found) < MIN_TEXTS:
        raise _refused(
            f"calibration file {path} has {len(found)} texts, at least {MIN_TEXTS} are needed: "
            "give one a line"
        )
    return found


def _refused(message: str) -> UsageError:
    return UsageError(message, option="--calibration")
