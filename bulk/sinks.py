"""Outputs that take texts and their vectors: files, written whole or not at all."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from minilm.bulk.writers import WRITERS
from minilm.runtime.errors import BackendUnavailable, UsageError
from minilm.runtime.files import check_output_file

if TYPE_CHECKING:
    from minilm.bulk.writers import Block
    from minilm.runtime import EncodeReport

__all__ = ["VectorSink", "check_output", "open_output"]

_SUFFIXES: Final = ", ".join([*WRITERS][:-1]) + f" or {[*WRITERS][-1]}"


class VectorSink(Protocol):
    """An output that takes rows of texts and vectors.

    Attributes:
        rows: number of rows so far, those of an earlier run included.
        report: counts of their texts.
    """

    rows: int
    report: "EncodeReport"

    def rest(self, texts: Iterable[str]) -> Iterator[str]:
        """Skip the texts whose rows the output has already."""
        ...

    def add(self, texts: Sequence[str], block: "Block", report: "EncodeReport") -> None:
        """Append rows: k texts, float32 (k, dimension), and the report of this run's texts."""
        ...


def check_output(output: Path) -> Path:
    """`output` if a file of that kind can be written there; found before the work starts.

    Raises:
        UsageError: unknown suffix, or as `minilm.runtime.files.check_output_file`.
        BackendUnavailable: the suffix requires an extra that is not installed.
    """
    if output.suffix not in WRITERS:
        raise UsageError(f"{output}: the name must end in {_SUFFIXES}", option="--output")
    check_output_file(output, "--output")
    if output.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise BackendUnavailable(
            f'writing {output} needs pyarrow: pip install "minilm-toolkit[parquet]"'
        )
    return output


@contextmanager
def open_output(
    output: Path,
    dimension: int,
    recipe: Mapping[str, str] | None = None,
    *,
    resume: bool | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Iterator[VectorSink]:
    """Open a file for vectors; it appears whole or not at all.

    Args:
        output: a path that ends in one of `WRITERS`.
        dimension: elements of a vector.
        recipe: settings that shape the vectors, by name: compared when a run is resumed.
        resume: as `minilm.bulk.checkpoint.resumable_output`.
        on_note: called with what the user should know of an unfinished output.

    Raises:
        UsageError: as `resumable_output`.
    """
    from minilm.bulk.checkpoint import resumable_output

    writer = WRITERS[output.suffix](dimension)
    with resumable_output(output, writer, recipe or {}, resume=resume, on_note=on_note) as sink:
        yield sink
