"""`toolkit package`."""

from pathlib import Path
from typing import Annotated

import typer
from minilm.cli.options import DEFAULT_BUNDLE, BundleArgument, VariantsOption, known_variants
from minilm.runtime.display import visible

__all__ = ["command"]


def command(  # noqa: PLR0913 - each is an option of its own
    bundle: BundleArgument = DEFAULT_BUNDLE,
    *,
    variants: VariantsOption = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            help="Name of the distribution. Default: the model's, with the precision if the "
            "variants have only one.",
        ),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option("--version", help="Default: that of the toolkit that built the bundle."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Directory to write the wheel into.")
    ] = Path("dist"),
    extract_to: Annotated[
        Path | None,
        typer.Option(
            "--extract-to",
            metavar="DIR",
            help="Write no wheel: copy its files into this new directory, for a container image.",
        ),
    ] = None,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Package a bundle that has no report, too.")
    ] = False,
) -> None:
    """Make a Python wheel of a bundle, for projects to depend on.

    Where it is installed, `load` and `--bundle` find it by its name or by the model's.

    \b
    Example:
      toolkit package --variants native/int8 --version 1.0
      pip install dist/all_minilm_l6_v2_int8-1.0-py3-none-any.whl
      toolkit embed "a text" --bundle all-minilm-l6-v2-int8
      toolkit package --variants native/int8 --extract-to image/bundle
    """
    from minilm.cli.console import size
    from minilm.distribution import WheelOptions, build_wheel, extract

    options = WheelOptions(
        bundle=bundle,
        variants=known_variants(variants),
        name=name,
        version=version,
        unverified=unverified,
    )
    if extract_to is not None:
        made = extract(options, extract_to)
        total = sum(file.stat().st_size for file in made.rglob("*") if file.is_file())
    else:
        made = build_wheel(options, output)
        total = made.stat().st_size
    typer.echo(f"{visible(str(made))}  {size(total)}")
