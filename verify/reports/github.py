"""A report as GitHub's workflow commands: printed by a step, they become annotations of the run."""

from minilm.runtime.display import github_data, github_property
from minilm.verify.reports.formatting import format_failure, verdict_of
from minilm.verify.results import Report

__all__ = ["render"]


def render(report: Report) -> str:
    """Errors for failed gates and a failed verdict, notices for a pass and what was left out."""
    lines = []
    for place, gate in report.failures:
        title = f"{report.artifact} {place}: {gate.name} failed"
        worst = f"Worst: {gate.worst}" if gate.worst else ""
        parts = (f"{format_failure(gate)}: {gate.meaning}", worst, gate.detail)
        lines.append(_command("error", title, *parts, f"Advice: {gate.advice}"))
    about = f"{report.model} against {report.reference}, policy {report.policy}"
    level = "notice" if report.passed else "error"
    lines.append(_command(level, f"{report.artifact}: {verdict_of(report)}", about))
    lines += [
        _command("notice", f"{report.artifact} {place}", note) for place, note in report.all_notes()
    ]
    return "\n".join(lines) + "\n"


def _command(level: str, title: str, *message: str) -> str:
    """`::level title=…::…`, a line for each part of the message that is not empty."""
    data = "%0A".join(github_data(part) for part in message if part)
    return f"::{level} title={github_property(title)}::{data}"
