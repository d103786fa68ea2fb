"""Where the vectors go: a file in one of several formats, or the screen."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import typer
from minilm.cli.formats import FORMATS
from minilm.runtime.errors import BackendUnavailable

if TYPE_CHECKING:
    from minilm.cli.formats import Block
    from minilm.runtime import EncodeReport

__all__ = ["Rows", "check_output", "open_output"]

_SUFFIXES: Final = ", ".join([*FORMATS][:-1]) + f" or {[*FORMATS][-1]}"


class Rows(Protocol):
    """Rows of an output.

    Attributes:
        rows: that are there.
        report: what became of their texts.
    """

    rows: int
    report: "EncodeReport"

    def rest(self, texts: Iterable[str]) -> Iterator[str]:
        """The texts whose rows are not there yet."""
        ...

    def add(self, texts: Sequence[str], block: "Block", report: "EncodeReport") -> None:
        """Append rows: k texts, float32 (k, dimension), and the report of this run's texts."""
        ...


def check_output(output: Path | None) -> Path | None:
    """`output` if something of that kind can be written there; found before the work starts.

    Raises:
        typer.BadParameter: unknown suffix, a directory, or no directory to write into.
        BackendUnavailable: the suffix asks for an extra that is not installed.
    """
    if output is None:
        return None
    if output.suffix not in FORMATS:
        raise typer.BadParameter(f"{output}: the name must end in {_SUFFIXES}")
    if output.is_dir():
        raise typer.BadParameter(f"{output} is a directory")
    if not output.parent.is_dir():
        raise typer.BadParameter(f"{output}: there is no directory {output.parent}")
    if not os.access(output.parent, os.W_OK):
        raise typer.BadParameter(f"{output}: {output.parent} is not writable")
    if output.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise BackendUnavailable(
            f'writing {output} needs pyarrow: pip install "minilm-toolkit[parquet]"'
        )
    return output


@contextmanager
def open_output(
    output: Path | None,
    dimension: int,
    recipe: Mapping[str, str] | None = None,
    *,
    resume: bool | None = None,
) -> Iterator[Rows]:
    """Open what `output` names; a file appears whole or not at all.

    Args:
        output: a path that ends in one of `FORMATS`, or None: a preview on a terminal, else JSON
            lines on standard output.
        dimension: elements of a vector.
        recipe: what makes the vectors, by name: compared when a run is gone on with.
        resume: as `minilm.cli.unfinished.unfinished`.

    Raises:
        typer.BadParameter: `resume` without an output, or as `unfinished`.
    """
    if output is None:
        if resume is not None:
            raise typer.BadParameter("applies to --output only", param_hint="--resume")
        yield _Screen(dimension)
        return
    from minilm.cli.unfinished import unfinished

    form = FORMATS[output.suffix](dimension)
    with unfinished(output, form, recipe or {}, resume=resume) as rows:
        yield rows


class _Screen:
    """Standard output, which forgets nothing and can be gone on with by nobody."""

    def __init__(self, dimension: int) -> None:
        from minilm.runtime import EncodeReport

        self.rows = 0
        self.report = EncodeReport()
        self._lines = None if sys.stdout.isatty() else FORMATS[".jsonl"](dimension)

    def rest(self, texts: Iterable[str]) -> Iterator[str]:
        return iter(texts)

    def add(self, texts: Sequence[str], block: "Block", report: "EncodeReport") -> None:
        self.rows += len(texts)
        self.report = report
        if self._lines is not None:
            sys.stdout.write(self._lines.rows(texts, block).decode("ascii"))
        else:
            _preview(texts, block)


def _preview(texts: Sequence[str], block: "Block") -> None:
    for text, vector in zip(texts, block, strict=True):
        short = text if len(text) <= 40 else text[:39] + "…"
        numbers = ", ".join(f"{value:7.4f}" for value in vector[:4])
        sys.stdout.write(f"{short!r:<42} [{numbers}, … {len(vector)} numbers]\n")
