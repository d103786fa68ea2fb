"""`toolkit verify`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from minilm.cli.options import (
    DEFAULT_BUNDLE,
    BundleArgument,
    JsonOption,
    VariantsOption,
    known_variants,
)
from minilm.cli.reporting import print_report
from minilm.runtime.errors import GateFailed

if TYPE_CHECKING:
    from minilm.verify import Report

__all__ = ["command"]


def command(  # noqa: PLR0913 - one parameter an option
    bundle: BundleArgument = DEFAULT_BUNDLE,
    *,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            help="PyTorch weights to compare with: a directory or a Hub id. "
            "Default: the installed ones, or the bundle's golden vectors without torch.",
        ),
    ] = None,
    variants: VariantsOption = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="Default: all that are allowed.")
    ] = None,
    report_dir: Annotated[
        Path | None,
        typer.Option("--report-dir", help="Write the report here: JSON, Markdown, HTML, JUnit."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare every variant of a bundle with the original. Exit code 1 if a gate fails.

    \b
    Example:
      toolkit verify artifacts/all-MiniLM-L6-v2
      toolkit verify --variants cpu/int8 --report-dir report --json
    """
    names = known_variants(variants)
    from minilm import verify
    from minilm.cli.console import print_json, steps

    if report_dir is not None:
        verify.check_writable(report_dir)
    with steps() as step:
        report = verify.verify_bundle(
            bundle, against=against, variants=names, threads=threads, on_progress=step
        )
        if report_dir is not None:
            verify.write_reports(report, report_dir)
    if as_json:
        print_json(json.loads(report.to_json()))
    else:
        print_report(report, str(bundle))
    if not report.passed:
        raise GateFailed(f"{bundle} is not the original's equal: {_failed(report)}")


def _failed(report: "Report") -> str:
    return ", ".join(f"{where} {gate.name}" for where, gate in report.failures)
