"""A verification on the screen, and which files it goes to; `minilm.verify` writes them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from minilm.cli.console import note, print_table, size
from minilm.cli.options import naming
from minilm.runtime.errors import UsageError
from minilm.runtime.suggest import did_you_mean

if TYPE_CHECKING:
    from minilm.verify import Report, VariantReport

__all__ = ["FORMATS", "ReportOptions", "print_policy", "print_report"]

FORMATS: Final = ("json", "markdown", "html", "junit", "sarif", "github")
"""Those of `minilm.verify.REPORT_FORMATS`, which --help would import NumPy for."""


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Where reports are written, and in which formats."""

    directory: Annotated[
        Path | None,
        typer.Option("--report-dir", metavar="DIR", help="Write reports into this directory."),
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
            UsageError: an unknown format, or formats without a directory.
            UsageError: the directory cannot be written, or is in `bundle`.
        """
        for name in self._names():
            if name not in FORMATS:
                raise UsageError(
                    f"no format {name!r}{did_you_mean(name, FORMATS)}; known: {', '.join(FORMATS)}",
                    option="--report",
                )
        if self.directory is None:
            if self.formats:
                raise UsageError("say where to: --report-dir DIR", option="--report")
            return
        from minilm.verify.reports.files import DEFAULT_FORMATS, check_writable

        formats = self._names() or DEFAULT_FORMATS
        with naming("--report-dir"):
            check_writable(self.directory, formats=formats, bundle=bundle)

    def write(self, report: "Report") -> None:
        """Write them, if any were asked for.

        Raises:
            UsageError: the directory cannot be written any more.
        """
        if self.directory is None:
            return
        from minilm.verify.reports.files import DEFAULT_FORMATS, write_reports

        write_reports(report, self.directory, formats=self._names() or DEFAULT_FORMATS)

    def _names(self) -> list[str]:
        parts = [part.strip() for name in self.formats or () for part in name.split(",")]
        return list(dict.fromkeys(parts))


def print_report(report: "Report", bundle: str) -> None:
    """Print a verification: a line a variant, the gates that failed, what was left out."""
    print_table(
        f"{bundle} against {report.reference}, policy {report.policy}",
        ("variant", "gates", "cosine mean", "1st percentile", "minimum", "size", "seconds"),
        [
            (
                variant.name,
                f"{sum(gate.passed for gate in variant.gates)}/{len(variant.gates)} passed",
                *_parity(variant),
                size(variant.size_bytes),
                f"{variant.seconds:.1f}",
            )
            for variant in report.variants
        ],
    )
    if report.failures:
        print_table(
            "failed",
            ("where", "gate", "figure", "asked", "worst", "advice"),
            [
                (
                    where,
                    gate.name,
                    f"{gate.figure:.6g}",
                    f"{gate.comparison} {gate.threshold:.6g}",
                    gate.worst,
                    gate.advice,
                )
                for where, gate in report.failures
            ],
        )
        for where, gate in report.failures:
            if gate.detail:
                note(f"{where} {gate.name}: {gate.detail}")
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
    """Print what each gate asked of each variant; notes of the report say which were left out."""
    asked = [
        {gate.name: f"{gate.comparison} {gate.threshold:.6g}" for gate in variant.gates}
        for variant in report.variants
    ]
    gates = dict.fromkeys(gate for each in asked for gate in each)
    print_table(
        f"policy {report.policy}",
        ("gate", *(variant.name for variant in report.variants)),
        [(gate, *(each.get(gate, "left out") for each in asked)) for gate in gates],
    )


def _parity(variant: "VariantReport") -> tuple[str, str, str]:
    if not variant.cosines:
        return ("-", "-", "-")
    found = variant.parity
    return (f"{found.mean:.6f}", f"{found.p01:.6f}", f"{found.minimum:.6f}")
