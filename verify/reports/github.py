"""A report as GitHub's workflow commands: printed by a step, they become annotations of the run."""

from minilm.verify.reports.formatting import format_failure, verdict_of
from minilm.verify.results import Report

__all__ = ["render"]


def render(report: Report) -> str:
    """An error per failed gate, a notice with the verdict, a notice per thing that was left out."""
    lines = []
    for place, gate in report.failures:
        parts = [
            f"{format_failure(gate)}: {gate.meaning}",
            gate.worst and f"Worst: {gate.worst}",
            gate.detail,
            f"Advice: {gate.advice}",
        ]
        title = f"{report.artifact} {place}: {gate.name} failed"
        lines.append(_command("error", title, "\n".join(part for part in parts if part)))
    about = f"{report.model} against {report.reference}, policy {report.policy}"
    lines.append(_command("notice", f"{report.artifact}: {verdict_of(report)}", about))
    lines += [
        _command("notice", f"{report.artifact} {place}", note) for place, note in report.all_notes()
    ]
    return "\n".join(lines) + "\n"


def _command(level: str, title: str, message: str) -> str:
    """`::level title=…::…`, escaped as actions/toolkit does (packages/core/src/command.ts)."""
    return f"::{level} title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
