"""A report as Markdown: short enough for a pull-request comment."""

from minilm.runtime.display import markdown_text
from minilm.verify.reports.formatting import (
    format_failure,
    format_figure,
    format_size,
    format_threshold,
    verdict_of,
)
from minilm.verify.results import Report, VariantReport

__all__ = ["render"]


def render(report: Report) -> str:
    """The whole report: verdict, variants, what failed and what to do, what was left out."""
    verdict = verdict_of(report).replace("failed", "FAILED")
    about = (
        f"{markdown_text(report.model)} against {markdown_text(report.reference)}, "
        f"{len(report.corpus)} texts, policy {markdown_text(report.policy)}."
    )
    lines = [
        f"## {markdown_text(report.artifact)}: {verdict}",
        "",
        about,
        "",
    ]
    if report.variants:
        lines += [
            "| variant | verdict | cosine mean | 1st percentile | minimum | gates | size |",
            "|---|---|---|---|---|---|---|",
            *(_row(variant) for variant in report.variants),
            "",
        ]
    for place, gate in report.failures:
        lines.append(
            f"- **{markdown_text(place)}: {gate.name}** is {format_failure(gate)} "
            f"({gate.meaning})."
            + (f" Worst: {markdown_text(gate.worst)}." if gate.worst else "")
            + (f" {markdown_text(gate.detail)}." if gate.detail else "")
            + f" Advice: {gate.advice}."
        )
    notes = list(report.all_notes())
    if notes:
        lines += [
            "",
            "Left out:",
            "",
            *(f"- {markdown_text(p)}: {markdown_text(note)}" for p, note in notes),
        ]
    lines += ["", "<details><summary>All gates</summary>", ""]
    lines += ["| where | gate | figure | asked for | |", "|---|---|---|---|---|"]
    lines += [
        f"| {markdown_text(place)} | {gate.name} | {format_figure(gate.figure)} "
        f"| {format_threshold(gate)} | {'passed' if gate.passed else '**failed**'} |"
        for place, gates in report.places()
        for gate in gates
    ]
    machine = ", ".join(f"{name} {value}" for name, value in report.environment.items())
    lines += ["", "</details>", "", f"<sub>{markdown_text(machine)}; {report.seconds:.0f} s</sub>"]
    return "\n".join(lines) + "\n"


def _row(variant: VariantReport) -> str:
    parity = variant.parity
    passed = sum(gate.passed for gate in variant.gates)
    return (
        f"| {markdown_text(variant.name)} | {'passed' if variant.passed else '**failed**'} "
        f"| {parity.mean:.6f} | {parity.p01:.6f} | {parity.minimum:.6f} "
        f"| {passed} of {len(variant.gates)} | {format_size(variant.size_bytes)} |"
    )
