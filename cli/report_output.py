"""A verification on the screen, and which files it goes to; `minilm.verify` writes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from minilm.cli.console import note, print_line, print_table, size, verdict
from minilm.cli.options import naming
from minilm.runtime.errors import UsageError
from minilm.runtime.suggest import did_you_mean

if TYPE_CHECKING:
    from minilm.verify import GateResult, Report, VariantReport

__all__ = ["FORMATS", "ReportOptions", "print_closing", "print_policy", "print_report"]

FORMATS: Final = ("json", "markdown", "html", "junit", "sarif", "github")
"""Those of `minilm.verify.REPORT_FORMATS`, which --help would import NumPy for."""

DEFAULT_DIRECTORY: Final = Path("report")
"""Where reports go if only their formats are named."""


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Where reports are written, and in which formats."""

    directory: Annotated[
        Path | None,
        typer.Option(
            "--report-dir",
            metavar="DIR",
            help=f"Write reports into this directory. Default with --report: {DEFAULT_DIRECTORY}.",
        ),
    ] = None
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--report",
            metavar="FORMAT",
            help=f"Of {', '.join(FORMATS)}; repeated or with commas between. "
            "Default: all but sarif and github.",
        ),
    ] = None

    def check(self, bundle: Path) -> None:
        """Find out before the work starts whether they can be written.

        Raises:
            UsageError: an unknown format.
            UsageError: the directory cannot be written, or is in `bundle`.
        """
        for name in self._names():
            if name not in FORMATS:
                raise UsageError(
                    f"no format {name!r}{did_you_mean(name, FORMATS)}; known: {', '.join(FORMATS)}",
                    option="--report",
                )
        if self._where() is None:
            return
        from minilm.verify.reports.files import DEFAULT_FORMATS, check_writable

        formats = self._names() or DEFAULT_FORMATS
        with naming("--report-dir"):
            check_writable(self._where() or DEFAULT_DIRECTORY, formats=formats, bundle=bundle)

    def write(self, report: "Report") -> list[Path]:
        """Write them, if any were asked for, and return their paths.

        Raises:
            UsageError: the directory cannot be written any more.
        """
        directory = self._where()
        if directory is None:
            return []
        from minilm.verify import REPORT_FORMATS
        from minilm.verify.reports.files import DEFAULT_FORMATS, write_reports

        formats = self._names() or DEFAULT_FORMATS
        write_reports(report, directory, formats=formats)
        return sorted(directory / REPORT_FORMATS[name][0] for name in formats)

    def _where(self) -> Path | None:
        return self.directory or (DEFAULT_DIRECTORY if self.formats else None)

    def _names(self) -> list[str]:
        parts = [part.strip() for name in self.formats or () for part in name.split(",")]
        return list(dict.fromkeys(parts))


def print_report(report: "Report", bundle: str) -> None:
    """Print a verification: a line a variant, the gates that failed, what was left out."""
    from minilm.verify.reports.formatting import format_figure
    from minilm.verify.reports.overview import lowest_allowed, variants_failed_first

    rows = []
    for variant in variants_failed_first(report):
        failed = sum(not gate.passed for gate in variant.gates)
        limit = lowest_allowed(variant)
        rows.append(
            (
                variant.name,
                verdict(passed=not failed, count=failed or len(variant.gates)),
                *_parity(variant),
                "left out" if limit is None else f">= {format_figure(limit)}",
                size(variant.size_bytes),
            )
        )
    print_table(
        f"{bundle} against {report.reference}, policy {report.policy}",
        ("variant", "gates", "mean", "lowest cosine", "asked", "size"),
        rows,
    )
    for where, gate in report.failures:
        _print_failure(where, gate)
    for variant in report.variants:
        for gate in variant.gates:
            if gate.passed and gate.name == "sts-drop":
                note(f"{variant.name} {gate.name}: {gate.detail}")
    for text in report.notes:
        note(text)
    for text in dict.fromkeys(text for variant in report.variants for text in variant.notes):
        names = [variant.name for variant in report.variants if text in variant.notes]
        note(f"{', '.join(names)}: {text}")


def print_policy(report: "Report") -> None:
    """Print every figure beside its threshold, failed gates first; notes say what was left out."""
    from minilm.verify.reports.formatting import format_measured

    found = [(variant.name, gate) for variant in report.variants for gate in variant.gates]
    names = list(dict.fromkeys(gate.name for _, gate in found))
    print_table(
        f"policy {report.policy}",
        ("variant", "gate", "verdict", "figure", "asked"),
        [
            (
                where,
                gate.name,
                verdict(passed=gate.passed),
                format_measured(gate),
                f"{gate.comparison} {gate.threshold:.6g}",
            )
            for where, gate in sorted(found, key=lambda p: (p[1].passed, names.index(p[1].name)))
        ],
    )


def print_closing(report: "Report", bundle: Path, files: Sequence[Path], following: str) -> None:
    """Print where things stand: the verdict in a sentence, the reports, and the next command.

    Args:
        report: The verification.
        bundle: Directory that was verified.
        files: Reports that were written.
        following: Command to run next.
    """
    from minilm.verify.reports.formatting import verdict_of

    sentence = f"{bundle} {verdict_of(report)}."
    print_line(sentence, passed=report.passed)
    written = ", ".join(map(str, files)) if files else "none; --report-dir DIR writes them"
    print_line(f"reports: {written}")
    print_line(f"next: {following}")


def _print_failure(where: str, gate: "GateResult") -> None:
    from minilm.verify.reports.formatting import format_failure

    heading = f"{verdict(passed=False)} {where} {gate.name}: {format_failure(gate)}"
    print_line(heading, passed=False)
    for text in (
        f"{gate.meaning}; worst: {gate.worst}" if gate.worst else gate.meaning,
        gate.detail,
        f"advice: {gate.advice}",
    ):
        if text:
            print_line(f"    {text}")


def _parity(variant: "VariantReport") -> tuple[str, str]:
    if not variant.cosines:
        return ("-", "-")
    found = variant.parity
    return (f"{found.mean:.6f}", f"{found.minimum:.6f}")
