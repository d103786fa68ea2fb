"""A verification on the screen; `minilm.verify` writes it to files."""

from typing import TYPE_CHECKING

from minilm.cli.console import note, print_table, size

if TYPE_CHECKING:
    from minilm.verify import Report

__all__ = ["print_report"]


def print_report(report: "Report", bundle: str) -> None:
    """Print a verification: a line a variant, the gates that failed, what was left out."""
    print_table(
        f"{bundle} against {report.reference}",
        ("variant", "gates", "cosine mean", "1st percentile", "minimum", "size", "seconds"),
        [
            (
                variant.name,
                f"{sum(gate.passed for gate in variant.gates)}/{len(variant.gates)} passed",
                *(
                    (
                        f"{variant.parity.mean:.6f}",
                        f"{variant.parity.p01:.6f}",
                        f"{variant.parity.minimum:.6f}",
                    )
                    if variant.cosines
                    else ("-", "-", "-")
                ),
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
    for text in report.notes:
        note(text)
