"""A report as Markdown: short enough for a pull-request comment."""

import re

from minilm.verify.figures import asked, number, size
from minilm.verify.report import Report, VariantReport

__all__ = ["render"]


def render(report: Report) -> str:
    """The whole report: verdict, variants, what failed and what to do, what was left out."""
    total = len(report.gates) + sum(len(variant.gates) for variant in report.variants)
    failed = len(report.failures)
    verdict = f"passed all {total} gates" if report.passed else f"FAILED {failed} of {total} gates"
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
            f"- **{place}: {gate.name}** is {number(gate.figure)}, asked for {asked(gate)} "
            f"({gate.meaning})."
            + (f" Worst: {_escape(gate.worst)}." if gate.worst else "")
            + (f" {_escape(gate.detail)}." if gate.detail else "")
            + f" Advice: {gate.advice}."
        )
    notes = [("bundle", note) for note in report.notes]
    notes += [(variant.name, note) for variant in report.variants for note in variant.notes]
    if notes:
        lines += ["", "Left out:", "", *(f"- {p}: {_escape(note)}" for p, note in notes)]
    lines += ["", "<details><summary>All gates</summary>", ""]
    lines += ["| where | gate | figure | asked for | |", "|---|---|---|---|---|"]
    places = [("bundle", report.gates), *((v.name, v.gates) for v in report.variants)]
    lines += [
        f"| {place} | {gate.name} | {number(gate.figure)} | {asked(gate)} | "
        f"{'passed' if gate.passed else '**failed**'} |"
        for place, gates in places
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
        f"| {passed} of {len(variant.gates)} | {size(variant.size_bytes)} |"
    )


def _escape(text: str) -> str:
    """Text as it stands: no markup, no HTML, no broken tables, no mention of anybody."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace("@", "&#64;")
    return re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", escaped)
