"""A report as one HTML page that opens offline: no script, no request, light and dark."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from minilm.runtime.display import html_text
from minilm.runtime.extras import require_extra
from minilm.verify.reports import plots
from minilm.verify.reports.formatting import (
    format_failure,
    format_figure,
    format_size,
    format_threshold,
    verdict_of,
)
from minilm.verify.results import Report, TextInfo, VariantReport

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

__all__ = ["render"]

_TEMPLATE: Final = "html.jinja"


def render(report: Report) -> str:
    """The whole page.

    Raises:
        BackendUnavailable: Jinja2 is not installed.
    """
    return _template().render(report=report, notes=list(report.all_notes()))


@cache
def _template() -> "Template":
    with require_extra("cli", "An HTML report"):
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup

    def finalize(value: object) -> object:
        """Every text of the report passes here, whatever it holds."""
        return Markup(html_text(value)) if type(value) is str else value

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.globals |= {
        "format_failure": format_failure,
        "format_figure": format_figure,
        "format_size": format_size,
        "format_threshold": format_threshold,
        "histogram": _histogram,
        "scatter": _scatter,
        "verdict_of": verdict_of,
        "worst_ten": _worst_ten,
    }
    return environment.get_template(_TEMPLATE)


def _histogram(variant: VariantReport) -> "Markup":
    from markupsafe import Markup

    return Markup(plots.histogram(variant.cosines, _limit(variant), variant.name))


def _scatter(variant: VariantReport, report: Report) -> "Markup":
    from markupsafe import Markup

    tokens = [info.tokens for info in report.corpus]
    return Markup(plots.scatter(variant.cosines, tokens, _limit(variant), variant.name))


def _limit(variant: VariantReport) -> float | None:
    return next((gate.threshold for gate in variant.gates if gate.name == "cosine-min"), None)


def _worst_ten(report: Report, variant: VariantReport) -> list[tuple[float, TextInfo]]:
    pairs = zip(variant.cosines, report.corpus, strict=True)
    return sorted(pairs, key=lambda pair: pair[0])[:10]
