"""Outputs that take texts and their vectors: files, written whole or not at all."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from minilm.bulk.records import Record
from minilm.bulk.writers import WRITERS
from minilm.runtime.errors import BackendUnavailable, UsageError
from minilm.runtime.files import check_output_file

if TYPE_CHECKING:
    from minilm.bulk.records import Block
    from minilm.runtime import EncodeReport

__all__ = ["VectorSink", "check_output", "keeps_fields", "open_output"]

_SUFFIXES: Final = ", ".join([*WRITERS][:-1]) + f" or {[*WRITERS][-1]}"

_WITH_FIELDS: Final = frozenset({".jsonl", ".parquet"})


class VectorSink(Protocol):
    """An output that takes rows of texts and vectors.

    Attributes:
        rows: number of rows so far, those of an earlier run included.
        report: counts of their texts.
    """

    rows: int
    report: "EncodeReport"

    def rest(self, records: Iterable[Record]) -> Iterator[Record]:
        """Skip the records whose rows the output has already."""
        ...

    def add(self, records: Sequence[Record], block: "Block", report: "EncodeReport") -> None:
        """Append rows: k records, float32 (k, dimension), and the report of this run's texts."""
        ...


def check_output(output: Path) -> Path:
    """`output` if a file of that kind can be written there; found before the work starts.

    Raises:
        UsageError: unknown suffix, or as `minilm.runtime.files.check_output_file`.
        BackendUnavailable: the suffix requires an extra that is not installed.
    """
    if output.suffix.lower() not in WRITERS:
        raise UsageError(f"{output}: the name must end in {_SUFFIXES}", option="--output")
    check_output_file(output, "--output")
    if output.suffix.lower() == ".parquet" and find_spec("pyarrow") is None:
        raise BackendUnavailable(
            f'writing {output} needs pyarrow: pip install "minilm-toolkit[parquet]"'
        )
    return output


def keeps_fields(output: Path) -> bool:
    """Whether a file of that name has room for the other fields of a record."""
    return output.suffix.lower() in _WITH_FIELDS


@contextmanager
def open_output(  # noqa: PLR0913 - each is a choice of its own, and all but two have defaults
    output: Path,
    dimension: int,
    recipe: Mapping[str, str] | None = None,
    *,
    schema: Any = None,
    resume: bool | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Iterator[VectorSink]:
    """Open a file for vectors; it appears whole or not at all.

    Args:
        output: a path that ends in one of `WRITERS`.
        dimension: elements of a vector.
        recipe: settings that shape the vectors, by name: compared when a run is resumed.
        schema: Arrow schema of the other fields of the records, if they have one.
        resume: as `minilm.bulk.checkpoint.resumable_output`.
        on_note: called with what the user should know of an unfinished output.

    Raises:
        UsageError: as `resumable_output`.
    """
    from minilm.bulk.checkpoint import resumable_output

    writer = WRITERS[output.suffix.lower()](dimension, schema)
    with resumable_output(output, writer, recipe or {}, resume=resume, on_note=on_note) as sink:
        yield sink
