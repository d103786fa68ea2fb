"""Options that say which texts a command embeds: its arguments, or a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from minilm.bulk import InputFormat, RecordSource, Selection, read_records, records_of
from minilm.runtime.errors import UsageError

__all__ = ["InputOptions", "KeepOption", "kept_fields"]

_NONE: Final = "none"

KeepOption = Annotated[
    list[str] | None,
    typer.Option(
        "--keep",
        metavar="NAME",
        help="Other fields of the input to keep in .jsonl and .parquet, repeated or with commas "
        "between; none for none. Default: all.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """Where texts come from. `flattened` turns each field into an option."""

    source: Annotated[
        Path | None,
        typer.Option(
            "--input",
            "-i",
            metavar="FILE",
            help="File of text lines, or with --field of JSON lines, a JSON array, CSV, TSV (.gz, "
            "too) or Parquet; - is stdin.",
        ),
    ] = None
    field: Annotated[
        str | None,
        typer.Option(
            "--field",
            "--column",
            help='Field or column that has the text; with dots for a nested one ("meta.body").',
        ),
    ] = None
    input_format: Annotated[
        InputFormat | None,
        typer.Option(
            "--format",
            help="Format of the input. Default: by the suffix; from stdin text lines, with --field "
            "JSON lines.",
        ),
    ] = None
    skip_null: Annotated[
        bool,
        typer.Option("--skip-null", help="Skip records whose text is null or absent, and say so."),
    ] = False

    def open(self, texts: Sequence[str], *, keep: tuple[str, ...] | None = ()) -> RecordSource:
        """Open the one place of two that has the texts.

        Args:
            texts: arguments of the command.
            keep: names of other fields to keep; None for all.

        Raises:
            UsageError: texts from both or none, or as `read_records`.
        """
        if texts and self.source is not None:
            raise UsageError("give texts or --input, not both", option="--input")
        if texts:
            for name, value in (("--field", self.field), ("--format", self.input_format)):
                if value is not None:
                    raise UsageError("applies to --input only", option=name)
            return records_of(texts)
        if self.source is None:
            raise UsageError("no text: give some, or --input FILE, or --input - for standard input")
        selection = Selection(field=self.field, keep=keep, skip_null=self.skip_null)
        return read_records(self.source, selection, self.input_format)


def kept_fields(names: Sequence[str] | None) -> tuple[str, ...] | None:
    """The value of `KeepOption` as names of fields; None for all."""
    if not names:
        return None
    parts = [part.strip() for name in names for part in name.split(",")]
    return () if parts == [_NONE] else tuple(dict.fromkeys(parts))
