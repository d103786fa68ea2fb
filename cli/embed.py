"""`toolkit embed`."""

from pathlib import Path
from typing import Annotated

import typer
from minilm.cli.options import EncoderOptions, flattened
from minilm.cli.streams import embedded
from minilm.cli.texts import from_arguments_or_file
from minilm.cli.vectors import check_output, open_output

__all__ = ["command"]


@flattened
def command(
    texts: Annotated[list[str] | None, typer.Argument(help="Texts, each its own vector.")] = None,
    *,
    source: Annotated[
        Path | None,
        typer.Option("--input", "-i", help="File of text lines or JSON lines; - is stdin."),
    ] = None,
    field: Annotated[
        str | None, typer.Option("--field", help="Read JSON lines; this field has the text.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            callback=check_output,
            help="File to write, .npy or .jsonl. Default: the screen; JSON lines into a pipe.",
        ),
    ] = None,
    options: EncoderOptions,
) -> None:
    """Turn texts into vectors.

    \b
    Example:
      toolkit embed "a text" "another"
      toolkit embed --input texts.txt --output vectors.npy
      zcat reviews.jsonl.gz | toolkit embed --input - --field body --output vectors.jsonl
    """
    from minilm.cli.console import counting, note

    stream = from_arguments_or_file(texts, source, field)
    with (
        options.load() as encoder,
        open_output(output, encoder.manifest.model.dimension) as write,
        counting("texts") as count,
    ):
        for block_texts, block in embedded(encoder, stream):
            write(block_texts, block)
            count(len(block_texts))
        report = encoder.last_report
    if report.texts_cut:
        note(
            f"{report.texts_cut} of {report.texts} texts were cut to what the model reads, "
            f"{report.tokens_cut} tokens are lost: see --on-long"
        )
