"""A report as one HTML page that opens offline: no script, no request, light and dark."""

from collections.abc import Iterable, Sequence
from typing import Final

from minilm.runtime.display import html_text
from minilm.verify.reports.formatting import (
    format_failure,
    format_figure,
    format_size,
    format_threshold,
    verdict_of,
)
from minilm.verify.reports.plots import histogram, scatter
from minilm.verify.results import GateResult, Report, VariantReport

__all__ = ["render"]

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --page: #fff; --card: #f6f8fa;
  --line: #d0d7de; --good: #1a7f37; --bad: #b3261e; --mark: #0a5bc4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa4af; --page: #0d1117;
  --card: #161b22; --line: #30363d; --good: #4ac26b; --bad: #ff8f87; --mark: #6cb0ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 70rem; color: var(--ink); background: var(--page);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0; font-size: 1.5rem; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; } p { margin: .4rem 0; }
.verdict { padding: 1rem; border-radius: .5rem; background: var(--card);
  border-left: .5rem solid var(--good); }
.verdict.failed { border-left-color: var(--bad); }
.soft { color: var(--soft); font-size: .9rem; }
.good { color: var(--good); } .bad { color: var(--bad); }
.good, .bad { font-weight: 600; }
.good, .bad, .keep { white-space: nowrap; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .5rem;
  border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .6rem 0; padding: 0 .8rem; }
summary { padding: .6rem 0; cursor: pointer; font-weight: 600; }
.plots { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); }
figure { margin: .5rem 0; max-width: 34rem; } figcaption { font-size: .9rem; color: var(--soft); }
svg { width: 100%; height: auto; background: var(--card); border-radius: .4rem; }
svg text { fill: var(--soft); font: 10px system-ui, sans-serif; }
.mid { text-anchor: middle; } .end { text-anchor: end; }
.bar, .dot { fill: var(--mark); } .dot { fill-opacity: .55; }
.grid { stroke: var(--line); fill: none; }
.limit { stroke: var(--bad); stroke-dasharray: 4 3; fill: none; stroke-width: 1.5; }
@media (max-width: 40rem) {
  thead { display: none; }
  tr { display: block; padding: .4rem 0; border-bottom: 1px solid var(--line); }
  td, td.n { display: grid; grid-template-columns: 8rem 1fr; gap: .5rem; border: 0;
    padding: .1rem 0; text-align: left; }
  td::before { content: attr(data-label); color: var(--soft); }
}
"""
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def render(report: Report) -> str:
    """The whole page."""
    title = f"{report.artifact}: {'passed' if report.passed else 'failed'}"
    body = [
        _verdict(report),
        _failures(report),
        _summary(report.variants),
        _overview(report.variants),
        "<h2>Bundle</h2>",
        _gate_table(report.gates),
        "<h2>Variants</h2>" if report.variants else "",
        *(_variant(report, variant) for variant in report.variants),
        _notes(report),
        _environment(report),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{html_text(title)}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(filter(None, body))
        + "\n</body>\n</html>\n"
    )


def _verdict(report: Report) -> str:
    said = verdict_of(report).capitalize()
    return (
        f'<header class="verdict{"" if report.passed else " failed"}">'
        f"<h1>{html_text(report.artifact)}: {said}</h1>"
        f"<p>{html_text(report.model)}, compared with {html_text(report.reference)} on "
        f"{len(report.corpus)} texts; policy {html_text(report.policy)}; "
        f"{report.seconds:.0f} s.</p></header>"
    )


def _failures(report: Report) -> str:
    if report.passed:
        return ""
    items = "".join(
        f"<li><strong>{html_text(place)}: {html_text(gate.name)}</strong> is "
        f"{format_failure(gate)}: {html_text(gate.meaning)}. "
        f"{f'Worst: <bdi>{html_text(gate.worst)}</bdi>. ' if gate.worst else ''}"
        f"{f'{html_text(gate.detail)}. ' if gate.detail else ''}"
        f"<em>{html_text(gate.advice)}.</em></li>"
        for place, gate in report.failures
    )
    return f"<h2>What failed</h2><ul>{items}</ul>"


def _summary(variants: Sequence[VariantReport]) -> str:
    if not variants:
        return ""
    head = ("variant", "verdict", "mean", "1st percentile", "minimum", "size", "seconds")
    rows = []
    for variant in variants:
        parity = variant.parity
        figures = [f"{x:.6f}" for x in (parity.mean, parity.p01, parity.minimum)]
        rows.append(
            (
                html_text(variant.name),
                _mark(variant.passed),
                *figures,
                format_size(variant.size_bytes),
                f"{variant.seconds:.1f}",
            )
        )
    return "<h2>Cosine to the original</h2>" + _table(head, rows, numeric=range(2, 7))


def _overview(variants: Sequence[VariantReport]) -> str:
    """The histograms of all variants, on one scale."""
    if not variants:
        return ""
    figures = "".join(
        f"<figure><figcaption>{html_text(variant.name)}</figcaption>"
        f"{histogram(variant.cosines, _limit(variant), variant.name)}</figure>"
        for variant in variants
    )
    return (
        "<h2>How far texts stand from the original</h2>"
        '<p class="soft">Further right is worse; the dashed line is the gate for the lowest '
        f'cosine.</p><div class="plots">{figures}</div>'
    )


def _limit(variant: VariantReport) -> float | None:
    return next((gate.threshold for gate in variant.gates if gate.name == "cosine-min"), None)


def _variant(report: Report, variant: VariantReport) -> str:
    tokens = [info.tokens for info in report.corpus]
    figure = (
        "<h3>Distance against length</h3><figure>"
        "<figcaption>A dot is a text; the dashed line is the gate for the lowest cosine"
        f"</figcaption>{scatter(variant.cosines, tokens, _limit(variant), variant.name)}</figure>"
    )
    open_ = "" if variant.passed else " open"
    return (
        f"<details{open_}><summary>{html_text(variant.name)} {_mark(variant.passed)}</summary>"
        f'<p class="soft">{html_text(variant.runs_on)}</p>'
        f"<h3>Gates</h3>{_gate_table(variant.gates)}{figure}"
        f"<h3>Worst ten texts</h3>{_worst(report, variant)}"
        f"<h3>Operators</h3>{_operators(variant)}</details>"
    )


def _worst(report: Report, variant: VariantReport) -> str:
    order = sorted(range(len(variant.cosines)), key=lambda place: variant.cosines[place])
    rows = [
        (
            f"{variant.cosines[place]:.6f}",
            html_text(report.corpus[place].category),
            str(report.corpus[place].tokens),
            f'<bdi dir="auto">{html_text(report.corpus[place].text)}</bdi>',
        )
        for place in order[:10]
    ]
    return _table(("cosine", "category", "tokens", "text"), rows, numeric=(0, 2))


def _operators(variant: VariantReport) -> str:
    mix = sorted(variant.operators.items(), key=lambda item: (-item[1], item[0]))
    said = ", ".join(f"{html_text(name)} {count}" for name, count in mix)
    return f'<p class="soft">{said or "not known here"}</p>'


def _gate_table(gates: Sequence[GateResult]) -> str:
    rows = [
        (
            f'<span title="{html_text(gate.meaning)}">{html_text(gate.name)}</span>',
            _mark(gate.passed),
            format_figure(gate.figure),
            f'<span class="keep">{format_threshold(gate)}</span>',
            f"{html_text(gate.meaning)}"
            + (
                '<br><span class="soft">worst: '
                f'<bdi dir="auto">{html_text(gate.worst)}</bdi></span>'
                if gate.worst
                else ""
            )
            + (f'<br><span class="soft">{html_text(gate.detail)}</span>' if gate.detail else ""),
        )
        for gate in gates
    ]
    return _table(("gate", "verdict", "figure", "asked for", "meaning"), rows, numeric=(2,))


def _notes(report: Report) -> str:
    notes = list(report.all_notes())
    if not notes:
        return ""
    items = "".join(f"<li>{html_text(place)}: {html_text(note)}</li>" for place, note in notes)
    return f"<h2>Left out</h2><ul>{items}</ul>"


def _environment(report: Report) -> str:
    rows = [(html_text(name), html_text(value)) for name, value in report.environment.items()]
    return "<h2>Environment</h2>" + _table(("name", "value"), rows)


def _mark(passed: bool) -> str:
    return '<span class="good">✓ passed</span>' if passed else '<span class="bad">✗ failed</span>'


def _table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, numeric: Iterable[int] = ()
) -> str:
    columns = set(numeric)
    kinds = [' class="n"' if place in columns else "" for place in range(len(head))]
    top = "".join(f'<th scope="col"{k}>{h}</th>' for h, k in zip(head, kinds, strict=True))
    body = "".join(
        "<tr>"
        + "".join(
            f'<td{kind} data-label="{label}"><span>{cell}</span></td>'
            for cell, label, kind in zip(row, head, kinds, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
