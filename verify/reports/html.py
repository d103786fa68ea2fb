"""A report as one HTML page that opens offline: no script, no request, light and dark."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from minilm.runtime.display import html_text
from minilm.runtime.extras import require_extra
from minilm.verify.reports import overview, plots
from minilm.verify.reports.formatting import (
    format_asked,
    format_failure,
    format_figure,
    format_measured,
    format_share,
    format_size,
    format_threshold,
    share_used,
    verdict_of,
)
from minilm.verify.results import GateResult, Report, Skipped, TextInfo, VariantReport, quote

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

__all__ = ["render"]

_TEMPLATE: Final = "html.jinja"
_HEAT: Final = (0.25, 0.5, 0.75, 1.0)
"""Upper bounds of the shades, as shares of the allowed error."""


def render(report: Report) -> str:
    """The whole page.

    Raises:
        BackendUnavailable: Jinja2 is not installed.
    """
    variants = overview.variants_failed_first(report)
    return _template().render(
        report=report,
        variants=variants,
        measured=[variant for variant in variants if variant.cosines],
        matrix=overview.gate_matrix(report),
        worst_texts=overview.worst_texts(report),
        categories=overview.categories(report),
        notes=_notes(report),
    )


def _notes(report: Report) -> list[tuple[str, str]]:
    """Each note once, with the names of all its places."""
    places: dict[str, list[str]] = {}
    for place, note in report.all_notes():
        places.setdefault(note, []).append(place)
    return [(", ".join(names), note) for note, names in places.items()]


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
        "anchor": overview.anchor,
        "cosine_share": overview.cosine_share,
        "distributions": _distributions,
        "format_asked": format_asked,
        "format_failure": format_failure,
        "format_figure": format_figure,
        "format_measured": format_measured,
        "format_share": format_share,
        "format_size": format_size,
        "format_threshold": format_threshold,
        "heat": _heat,
        "quote": quote,
        "lowest_allowed": overview.lowest_allowed,
        "scatter": _scatter,
        "share_used": share_used,
        "verdict_of": verdict_of,
    }
    environment.tests |= {
        "result": lambda cell: isinstance(cell, GateResult),
        "skipped": lambda cell: isinstance(cell, Skipped),
    }
    return environment.get_template(_TEMPLATE)


def _distributions(variants: Sequence[VariantReport]) -> "Markup":
    from markupsafe import Markup

    return Markup(plots.distributions(variants))


def _scatter(variant: VariantReport, corpus: Sequence[TextInfo]) -> "Markup":
    from markupsafe import Markup

    return Markup(plots.scatter(variant, corpus))


def _heat(share: float | None) -> int:
    """Shade of a share of the allowed error: 1 to 4, 5 for a failure, 0 for none."""
    return 0 if share is None else 1 + sum(share > bound for bound in _HEAT)
