"""Texts that a command embeds: its arguments, or a file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from minilm.bulk.readers import read_texts
from minilm.runtime.errors import UsageError

__all__ = ["FieldOption", "texts_or_file"]

FieldOption = Annotated[
    str | None,
    typer.Option(
        "--field",
        "--column",
        help="Field of the JSON lines, or column of the Parquet file, that has the text.",
    ),
]


def texts_or_file(
    texts: Sequence[str] | None, source: Path | None, field: str | None
) -> Iterator[str]:
    """The texts that a command got, from exactly one of two places.

    Raises:
        UsageError: texts from both or none.
        ToolkitError: as `read_texts`.
    """
    if texts and source is not None:
        raise UsageError("give texts or --input, not both", option="--input")
    if texts:
        if field is not None:
            raise UsageError("applies to --input only", option="--field")
        return iter(texts)
    if source is None:
        raise UsageError("no text: give some, or --input FILE, or --input - for standard input")
    return read_texts(source, field)
