"""`toolkit embed`."""

import hashlib
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from minilm.bulk import VectorSink, check_output, embed_stream, open_output
from minilm.cli.inputs import FieldOption, texts_or_file
from minilm.cli.options import EncoderOptions, flattened
from minilm.runtime.errors import UsageError

if TYPE_CHECKING:
    from minilm.runtime import Encoder

__all__ = ["command"]


@flattened
def command(  # noqa: PLR0913 - one parameter an option
    texts: Annotated[list[str] | None, typer.Argument(help="Texts, each its own vector.")] = None,
    *,
    source: Annotated[
        Path | None,
        typer.Option(
            "--input",
            "-i",
            help="File of text lines, JSON lines (with --field) or Parquet (.parquet); - is stdin.",
        ),
    ] = None,
    field: FieldOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File to write: .npy, .jsonl or .parquet. Default: the screen; JSON lines into a "
            "pipe.",
        ),
    ] = None,
    resume: Annotated[
        bool | None,
        typer.Option(
            "--resume/--no-resume",
            help="Go on with what a run that was stopped left beside the output, or throw that "
            "away. Without either, it is an error if something is left.",
        ),
    ] = None,
    options: EncoderOptions,
) -> None:
    """Turn texts into vectors.

    A file may be of any size. A run that was stopped, even by a power cut, left its rows in
    OUTPUT.part: the same command with --resume goes on behind them, and refuses if its first texts,
    the variant or --on-long are others. From stdin, send the stream again from its start.

    \b
    Example:
      toolkit embed "a text" "another"
      toolkit embed --input texts.txt --output vectors.npy
      toolkit embed --input reviews.parquet --column body --output vectors.parquet --resume
      zcat reviews.jsonl.gz | toolkit embed --input - --field body --output vectors.jsonl
    """
    from minilm.cli.console import counting, note

    if output is not None:
        check_output(output)
    elif resume is not None:
        raise UsageError("applies to --output only", option="--resume")
    stream = texts_or_file(texts, source, field)
    with options.load() as encoder:
        recipe = {"on-long": options.on_long, **_recipe(encoder)}
        dimension = encoder.manifest.model.dimension
        with _open(output, dimension, recipe, resume=resume) as sink:
            if sink.rows:
                note(f"{sink.rows} rows were there already")
            rest = sink.rest(stream)
            with counting("texts", sink.rows) as count:
                for block_texts, block in embed_stream(encoder, rest, first=sink.rows):
                    sink.add(block_texts, block, encoder.last_report)
                    count(len(block_texts))
        report = sink.report
    if report.texts_cut:
        note(
            f"{report.texts_cut} of {report.texts} texts were cut to what the model reads, "
            f"{report.tokens_cut} tokens are lost: see --on-long"
        )


def _open(
    output: Path | None, dimension: int, recipe: Mapping[str, str], *, resume: bool | None
) -> AbstractContextManager[VectorSink]:
    from minilm.cli.console import note
    from minilm.cli.screen import ScreenSink

    if output is None:
        return nullcontext(ScreenSink(dimension))
    return open_output(output, dimension, recipe, resume=resume, on_note=note)


def _recipe(encoder: "Encoder") -> dict[str, str]:
    """What else has to be the same for a text to get the same vector."""
    files = {"tokenizer.json", *encoder.variant.files}
    hashes = "".join(file.sha256 for file in encoder.manifest.files if file.path in files)
    return {
        "variant": encoder.variant.name,
        "bundle": hashlib.sha256(hashes.encode()).hexdigest()[:16],
    }
