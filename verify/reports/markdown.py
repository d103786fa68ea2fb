"""A report as Markdown: short enough for a pull-request comment."""

import re

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
        f"{_escape(report.model)} against {_escape(report.reference)}, "
        f"{len(report.corpus)} texts, policy {_escape(report.policy)}."
    )
    lines = [
        f"## {_escape(report.artifact)}: {verdict}",
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
            f"- **{place}: {gate.name}** is {format_failure(gate)} "
            f"({gate.meaning})."
            + (f" Worst: {_escape(gate.worst)}." if gate.worst else "")
            + (f" {_escape(gate.detail)}." if gate.detail else "")
            + f" Advice: {gate.advice}."
        )
    notes = list(report.all_notes())
    if notes:
        lines += ["", "Left out:", "", *(f"- {p}: {_escape(note)}" for p, note in notes)]
    lines += ["", "<details><summary>All gates</summary>", ""]
    lines += ["| where | gate | figure | asked for | |", "|---|---|---|---|---|"]
    lines += [
        f"| {place} | {gate.name} | {format_figure(gate.figure)} | {format_threshold(gate)} | "
        f"{'passed' if gate.passed else '**failed**'} |"
        for place, gates in report.places()
        for gate in gates
    ]
    machine = ", ".join(f"{name} {value}" for name, value in report.environment.items())
    lines += ["", "</details>", "", f"<sub>{_escape(machine)}; {report.seconds:.0f} s</sub>"]
    return "\n".join(lines) + "\n"


def _row(variant: VariantReport) -> str:
    parity = variant.parity
    passed = sum(gate.passed for gate in variant.gates)
    return (
        f"| {variant.name} | {'passed' if variant.passed else '**failed**'} "
        f"| {parity.mean:.6f} | {parity.p01:.6f} | {parity.minimum:.6f} "
        f"| {passed} of {len(variant.gates)} | {format_size(variant.size_bytes)} |"
    )


def _escape(text: str) -> str:
    """Text as it stands: no markup, no HTML, no broken tables, no mention of anybody."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace("@", "&#64;")
    return re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", escaped)
