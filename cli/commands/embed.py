"""`toolkit embed`."""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer
from minilm.bulk import VectorSink, check_output, embed_stream, keeps_fields, open_output
from minilm.cli.inputs import InputOptions, KeepOption, kept_fields
from minilm.cli.options import EncoderOptions, flattened
from minilm.runtime.errors import UsageError

if TYPE_CHECKING:
    from minilm.runtime import Encoder

__all__ = ["command"]


@flattened
def command(  # noqa: PLR0913 - one parameter an option
    texts: Annotated[list[str] | None, typer.Argument(help="Texts, each its own vector.")] = None,
    *,
    keep: KeepOption = None,
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
    inputs: InputOptions,
    options: EncoderOptions,
) -> None:
    """Turn texts into vectors.

    A file may be of any size. A run that was stopped, even by a power cut, left its rows in
    OUTPUT.part: the same command with --resume goes on behind them, and refuses if its first texts,
    the variant or --on-long are others. From stdin, send the stream again from its start.

    Beside a vector stand the text and the other fields of its record, in .jsonl and .parquet.

    \b
    Example:
      toolkit embed "a text" "another"
      toolkit embed --input texts.txt --output vectors.npy
      toolkit embed --input reviews.parquet --column body --output vectors.parquet --resume
      toolkit embed --input reviews.csv.gz --column body --keep id --output vectors.jsonl
      zcat reviews.jsonl.gz | toolkit embed --input - --field body --output vectors.jsonl
    """
    from minilm.cli.console import conclude, counting, logging_on, note

    if output is not None:
        check_output(output)
    elif resume is not None:
        raise UsageError("applies to --output only", option="--resume")
    wanted = kept_fields(keep)
    if not _has_fields(output):
        if wanted and output is not None:
            raise UsageError(f"{output} has no room for other fields", option="--keep")
        wanted = ()
    records = inputs.open(texts or (), keep=wanted)
    started = perf_counter()
    with options.load() as encoder:
        if logging_on():
            conclude(f"loaded in {perf_counter() - started:.2f} s: {encoder.why}")
        started = perf_counter()
        recipe = {"on-long": options.on_long, "keep": _keep_name(wanted), **_recipe(encoder)}
        with _open(output, encoder.dimension, recipe, records.schema, resume=resume) as sink:
            if sink.rows:
                note(f"{sink.rows} rows were there already")
            rest = sink.rest(records)
            with counting("texts", sink.rows) as count:
                for block_records, block in embed_stream(encoder, rest, first=sink.rows):
                    sink.add(block_records, block, encoder.last_report)
                    count(len(block_records))
        report = sink.report
        conclude(_conclusion(sink, encoder, output, perf_counter() - started))
    for sentence in records.notes():
        note(sentence)
    if report.texts_cut:
        note(
            f"{report.texts_cut} of {report.texts} texts were cut to what the model reads, "
            f"{report.tokens_cut} tokens are lost: see --on-long"
        )


def _conclusion(sink: "VectorSink", encoder: "Encoder", output: Path | None, seconds: float) -> str:
    """What was made, where it is, by which variant, and how fast."""
    from minilm.cli.console import size

    made = f"{sink.rows:,} x {encoder.dimension} float32 by {encoder.variant.name}"
    texts = sink.report.texts
    rate = f", {texts / seconds:,.0f} texts/s" if texts and seconds > 0 else ""
    if output is None:
        return f"{made}{rate}"
    return f"wrote {output}: {made}, {size(output.stat().st_size)}{rate}"


def _has_fields(output: Path | None) -> bool:
    """Whether the output has room for other fields: a preview on a terminal has none."""
    return not sys.stdout.isatty() if output is None else keeps_fields(output)


def _keep_name(keep: Sequence[str] | None) -> str:
    return "all" if keep is None else ", ".join(keep) or "none"


def _open(
    output: Path | None,
    dimension: int,
    recipe: Mapping[str, str],
    schema: object,
    *,
    resume: bool | None,
) -> AbstractContextManager[VectorSink]:
    from minilm.cli.console import note
    from minilm.cli.screen import ScreenSink

    if output is None:
        return nullcontext(ScreenSink(dimension))
    return open_output(output, dimension, recipe, schema=schema, resume=resume, on_note=note)


def _recipe(encoder: "Encoder") -> dict[str, str]:
    """Settings of the encoder that must not change for a text to get the same vector."""
    files = {"tokenizer.json", *encoder.variant.files}
    hashes = "".join(file.sha256 for file in encoder.manifest.files if file.path in files)
    return {
        "variant": encoder.variant.name,
        "bundle": hashlib.sha256(hashes.encode()).hexdigest()[:16],
    }
