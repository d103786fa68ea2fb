"""`toolkit build`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from minilm.cli.options import (
    DEFAULT_BUNDLE,
    CalibrationOption,
    JsonOption,
    ModelOption,
    VariantsOption,
    known_variants,
)
from minilm.cli.report_output import print_report
from minilm.runtime.manifest import VARIANTS

if TYPE_CHECKING:
    from minilm.pipeline import BuildSummary

__all__ = ["command", "output_for"]


def command(  # noqa: PLR0913 - one parameter an option
    *,
    model: ModelOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help=f"Directory of the bundle. Default: {DEFAULT_BUNDLE.parent}/MODEL",
        ),
    ] = None,
    variants: VariantsOption = None,
    calibration: CalibrationOption = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Run every stage again, reuse nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a directory that is no bundle, too.")
    ] = False,
    cache_dir: Annotated[
        Path | None, typer.Option("--cache-dir", help="Where finished stages are kept.")
    ] = None,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Run only the cheap gates, in seconds.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Turn PyTorch weights into a verified bundle.

    \b
    Example:
      toolkit build
      toolkit build --variants cpu/int8,openvino/bf16 --output my-bundle
      toolkit build --calibration our-texts.txt
    """
    names = known_variants(variants) or tuple(VARIANTS)
    from minilm import optimize
    from minilm.cli.console import print_json, steps
    from minilm.pipeline import BuildOptions, build

    options = BuildOptions(
        model=model,
        output=output or output_for(model),
        variants=names,
        fresh=fresh,
        force=force,
        cache_dir=cache_dir,
        verify=not no_verify,
        calibration=optimize.read_texts(calibration) if calibration else None,
    )
    with steps() as step:
        summary = build(options, step)
    if as_json:
        print_json(
            {
                "output": str(summary.output),
                "stages": [asdict(stage) for stage in summary.stages],
                "files": [asdict(file) for file in summary.files],
                "passed": summary.report and summary.report.passed,
            }
        )
    else:
        _print(summary)


def output_for(model: str | None) -> Path:
    """A folder of the model's own name, so that one model's bundle never replaces another's."""
    if model is None:
        return DEFAULT_BUNDLE
    name, _, _ = model.partition("@")
    return (
        DEFAULT_BUNDLE.parent / (Path(model).resolve() if Path(model).is_dir() else Path(name)).name
    )


def _print(summary: "BuildSummary") -> None:
    from minilm.cli.console import print_table, size

    print_table(
        "stages",
        ("stage", "seconds", ""),
        [
            (stage.name, f"{stage.seconds:.1f}", "reused" if stage.reused else "")
            for stage in summary.stages
        ],
    )
    if summary.report is not None:
        print_report(summary.report, str(summary.output))
    print_table(
        f"{summary.output}: {len(summary.files)} files, "
        f"{size(sum(file.bytes for file in summary.files))}",
        ("path", "size", "sha256"),
        [(file.path, size(file.bytes), file.sha256[:12]) for file in summary.files],
    )
