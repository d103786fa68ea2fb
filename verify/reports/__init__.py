"""Renderers: each takes a report and gives text."""

from collections.abc import Callable, Mapping
from typing import Final

from minilm.verify.reports import github, html, json, junit, markdown, sarif
from minilm.verify.results import Report, ReportFormat

__all__ = ["REPORT_FORMATS", "render_report"]

REPORT_FORMATS: Final[Mapping[str, tuple[str, Callable[[Report], str]]]] = {
    "json": ("report.json", json.render),
    "markdown": ("report.md", markdown.render),
    "html": ("report.html", html.render),
    "junit": ("junit.xml", junit.render),
    "sarif": ("report.sarif", sarif.render),
    "github": ("github.txt", github.render),
}
"""Format to the name of its file and the function that writes it."""


def render_report(report: Report, report_format: ReportFormat) -> str:
    """The report as text in one of `REPORT_FORMATS`.

    Example:
        >>> render_report(report, "markdown")  # doctest: +SKIP
    """
    return REPORT_FORMATS[report_format][1](report)
