"""A report as Markdown: short enough for a pull-request comment."""

from collections.abc import Iterator

from minilm.runtime.display import markdown_text
from minilm.verify.reports import overview
from minilm.verify.reports.formatting import (
    format_asked,
    format_failure,
    format_figure,
    format_measured,
    format_share,
    format_size,
    verdict_of,
)
from minilm.verify.results import GateResult, Report, Skipped, VariantReport

__all__ = ["render"]


def render(report: Report) -> str:
    """The whole report: verdict, what failed and what to do, variants, gates by variant."""
    verdict = verdict_of(report).replace("failed", "FAILED")
    about = (
        f"{markdown_text(report.model)} against {markdown_text(report.reference)}, "
        f"{len(report.corpus)} texts, policy {markdown_text(report.policy)}."
    )
    heading = f"## {_mark(passed=report.passed)} {markdown_text(report.artifact)}: {verdict}"
    lines = [heading, "", about, ""]
    for place, gate in report.failures:
        lines.append(
            f"- ❌ **{markdown_text(place)}: {gate.name}** is {format_failure(gate)} "
            f"({gate.meaning})."
            + (f" Worst: {markdown_text(gate.worst)}." if gate.worst else "")
            + (f" {markdown_text(gate.detail)}." if gate.detail else "")
            + f" Advice: {gate.advice}."
        )
    if report.failures:
        lines.append("")
    if report.variants:
        lines += [
            "| variant | verdict | lowest cosine | allowed error used | mean | gates | size |",
            "|---|---|---|---|---|---|---|",
            *(_row(variant) for variant in overview.variants_failed_first(report)),
            "",
        ]
    notes = list(report.all_notes())
    if notes:
        lines += ["Left out:", ""]
        lines += [*(f"- {markdown_text(p)}: {markdown_text(note)}" for p, note in notes), ""]
    lines += ["<details><summary>All gates</summary>", "", *_gates(report), "</details>", ""]
    machine = ", ".join(f"{name} {value}" for name, value in report.environment.items())
    if report.command:
        lines += [f"To repeat: {markdown_text(report.command)}", ""]
    lines += [f"<sub>{markdown_text(machine)}; {report.seconds:.0f} s</sub>"]
    return "\n".join(lines) + "\n"


def _row(variant: VariantReport) -> str:
    passed = sum(gate.passed for gate in variant.gates)
    cells = [markdown_text(variant.name), _verdict(passed=variant.passed)]
    if variant.cosines:
        parity, limit = variant.parity, overview.lowest_allowed(variant)
        share = overview.cosine_share(variant, parity.minimum)
        asked = "" if limit is None else f" (≥ {format_figure(limit)})"
        cells += [
            f"{parity.minimum:.6f}{asked}",
            "" if share is None else format_share(share),
            f"{parity.mean:.6f}",
        ]
    else:
        cells += ["", "", ""]
    cells += [f"{passed} of {len(variant.gates)}", format_size(variant.size_bytes)]
    return f"| {' | '.join(cells)} |"


def _gates(report: Report) -> Iterator[str]:
    """The gates of the bundle, then a table of gates by variants."""
    yield "| bundle | |"
    yield "|---|---|"
    for gate in report.gates:
        yield f"| {gate.name} | {_cell(gate)} |"
    yield ""
    matrix = overview.gate_matrix(report)
    if not matrix:
        return
    names = [markdown_text(each.name) for each in overview.variants_failed_first(report)]
    yield f"| gate | {' | '.join(names)} |"
    yield f"|---|{'---|' * len(names)}"
    for row in matrix:
        yield f"| {row.gate} | {' | '.join(map(_cell, row.cells))} |"
    yield ""


def _cell(found: GateResult | Skipped | None) -> str:
    if found is None:
        return ""
    if isinstance(found, Skipped):
        return "left out"
    figures = f"{format_measured(found)} ({format_asked(found)})"
    return f"✅ {figures}" if found.passed else f"❌ **failed** {figures}"


def _verdict(*, passed: bool) -> str:
    return "✅ passed" if passed else "❌ **failed**"


def _mark(*, passed: bool) -> str:
    return "✅" if passed else "❌"
