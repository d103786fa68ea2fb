"""`toolkit compare`."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from minilm.cli.options import JsonOption, known_variants
from minilm.runtime.errors import UsageError
from minilm.runtime.files import check_output_file, write_atomically

if TYPE_CHECKING:
    from minilm.verify import Comparison
    from minilm.verify.comparison import VariantChange

__all__ = ["command"]

_STDOUT: Final = Path("-")


def command(  # noqa: PLR0913 - one parameter an option
    before: Annotated[Path, typer.Argument(metavar="A", help="Directory of a bundle.")],
    after: Annotated[
        Path | None,
        typer.Argument(metavar="[B]", help="Another one. Default: A, for two of its variants."),
    ] = None,
    *,
    variants: Annotated[
        list[str] | None,
        typer.Option(
            "--variants",
            "--variant",
            metavar="NAME[:NAME]",
            help="Only these, repeated or with commas between; BEFORE:AFTER holds one variant "
            "against another. Default: all that both have.",
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="Default: all that are allowed.")
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(
            "--markdown",
            metavar="FILE",
            help="Write Markdown for a pull request, too; - for standard output, in place of it.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what changed between two bundles: files, operators, sizes, parity, speed.

    Parity is the lowest cosine to the original, by the golden vectors; "between" is that of B to A.
    Speed is B's, as a multiple of A's. Nothing is judged: that is what `toolkit verify` does.

    \b
    Example:
      toolkit compare old/all-MiniLM-L6-v2 artifacts/all-MiniLM-L6-v2
      toolkit compare artifacts/all-MiniLM-L6-v2 --variants cpu/fp32:cpu/int8
      toolkit compare old new --markdown - >> "$GITHUB_STEP_SUMMARY"
    """
    pairs = _pairs(variants)
    if after is None and not any(one != other for one, other in pairs or ()):
        raise UsageError(
            "give another bundle, or two variants of this one: --variants cpu/fp32:cpu/int8",
            option="B",
        )
    _check_markdown(markdown, as_json=as_json)
    from minilm.cli.console import print_json, steps
    from minilm.verify import compare

    with steps(logged=False) as step:
        found = compare(before, after or before, pairs=pairs, threads=threads, on_progress=step)
        if markdown is not None and markdown != _STDOUT:
            write_atomically(markdown, found.to_markdown())
    if as_json:
        print_json(json.loads(found.to_json()))
    elif markdown == _STDOUT:
        sys.stdout.write(found.to_markdown())
    else:
        _print(found, one_bundle=after is None)


def _pairs(asked: Iterable[str] | None) -> list[tuple[str, str]] | None:
    """Names of variants before and after, each pair once; None if none was named.

    Raises:
        UsageError: a name is unknown.
    """
    pairs = []
    for part in [part.strip() for name in asked or () for part in name.split(",")]:
        before, colon, after = part.partition(":")
        pair = (before, after if colon else before)
        known_variants(pair)
        pairs.append(pair)
    return list(dict.fromkeys(pairs)) or None


def _check_markdown(path: Path | None, *, as_json: bool) -> None:
    """Find out before the work starts whether Markdown can be written where it was asked for.

    Raises:
        UsageError: it cannot; the message says why.
    """
    if path == _STDOUT and as_json:
        raise UsageError("standard output has JSON already: --json", option="--markdown")
    if path is not None and path != _STDOUT:
        check_output_file(path, "--markdown")


def _print(found: "Comparison", *, one_bundle: bool) -> None:
    from minilm.cli.console import note, print_table

    print_table(
        f"{found.before} → {found.after}",
        ("variant", "size", "parity", "between", "speed", "operators"),
        [_row(change) for change in found.variants],
    )
    operators = [
        (_name(change), kind, str(before), str(after))
        for change in found.variants
        for kind, (before, after) in change.operators.items()
    ]
    if operators:
        print_table("operators", ("variant", "operator", "before", "after"), operators)
    if found.files:
        rows = [(change.path, *change.sides) for change in found.files]
        print_table("files", ("path", "before", "after"), rows)
    elif not one_bundle:
        sys.stdout.write("Every file is the same.\n")
    for text in found.missing:
        note(text)


def _name(change: "VariantChange") -> str:
    return " → ".join(dict.fromkeys((change.before, change.after)))


def _row(change: "VariantChange") -> tuple[str, ...]:
    from minilm.cli.console import size

    before, after = (
        "unknown" if parity is None else f"{parity.minimum:.6f}"
        for parity in (change.parity_before, change.parity_after)
    )
    return (
        _name(change),
        f"{size(change.before_bytes)} → {size(change.after_bytes)}",
        f"{before} → {after}",
        f"{change.between.minimum:.6f}",
        f"{change.speed:.2f}x",
        f"{len(change.operators)} types changed" if change.operators else "the same",
    )
