"""`toolkit similarity`."""

from dataclasses import asdict
from typing import Annotated

import typer
from minilm.bulk import top_matches
from minilm.cli.inputs import InputOptions
from minilm.cli.options import EncoderOptions, JsonOption, flattened
from minilm.runtime.errors import UsageError

__all__ = ["command"]


@flattened
def command(  # noqa: PLR0913 - one parameter an option
    text: Annotated[str, typer.Argument(help="The text, or the query.")],
    other: Annotated[str | None, typer.Argument(help="Text to compare it with.")] = None,
    *,
    top: Annotated[int, typer.Option("--top", min=1, help="How many lines to show.")] = 10,
    as_json: JsonOption = False,
    inputs: InputOptions,
    options: EncoderOptions,
) -> None:
    """Cosine similarity of two texts, or of one and the best lines of a file.

    \b
    Example:
      toolkit similarity "a cat sleeps" "a kitten naps"
      toolkit similarity "battery life" --input reviews.txt --top 5
    """
    from minilm.cli.console import note, print_json, print_table

    if (other is None) == (inputs.source is None):
        raise UsageError("give one more text, or --input FILE: one of the two")
    candidates = inputs.open(() if other is None else [other])
    with options.load() as encoder:
        matches = top_matches(encoder, text, candidates, top)
    for sentence in candidates.notes():
        note(sentence)
    if as_json:
        print_json([asdict(match) for match in matches])
    elif other is not None:
        typer.echo(f"{matches[0].cosine:.4f}")
    else:
        rows = [(f"{match.cosine:.4f}", str(match.number), match.text) for match in matches]
        print_table(f"closest to {text!r}", ("cosine", "line", "text"), rows)
