"""What a report shows at a glance: gates by variant, shares of the allowed error, worst texts."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from minilm.verify import render_report
from minilm.verify.reports.environment import describe_environment
from minilm.verify.reports.formatting import format_measured, format_share, share_used
from minilm.verify.reports.overview import anchor

from tests.support.sample_report import make


def test_all_variants_share_one_axis_and_each_has_its_scatter() -> None:
    (variant,) = make().variants
    page = render_report(replace(make(), variants=(variant, replace(variant, name="b"))), "html")
    top, _, below = page.partition('<h2 id="bundle">')
    assert top.count("<svg") == 1
    assert top.count(">gate 0.99</text>") == 2
    assert 'aria-labelledby="scatter-cpu-int8"' in below
    assert 'aria-labelledby="scatter-b"' in below
    assert below.count('class="worst"') == 8


def test_html_shows_each_gate_by_variant_failed_first() -> None:
    (variant,) = make().variants
    good = replace(make(figure=0.995).variants[0], name="cpu/fp32", skipped=())
    page = render_report(replace(make(), variants=(good, variant)), "html")
    matrix = page[page.index('<table class="side matrix">') :]
    matrix = matrix[: matrix.index("</table>")]
    rows = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', matrix)
    assert [name for name, _ in rows] == ["cosine-min", "finite", "top10"]
    assert re.findall('<th scope="col">(.*?)</th>', matrix) == ["gate", "cpu/int8", "cpu/fp32"]
    failed, passed = re.findall('<td class="(?:fail|ok)">.*?</td>', rows[0][1])
    assert '<a href="#cpu-int8-cosine-min">' in failed
    assert "✗ FAILED" in failed
    assert "0.98 (≥ 0.99)" in failed
    assert "<b>200 %</b>" in failed
    assert "✓ passed" in passed
    assert 'style="--used:50%"' in passed
    assert re.findall('<td class="(out|none)">', rows[2][1]) == ["out", "none"]
    assert '<li id="cpu-int8-cosine-min">' in page


def test_html_has_the_worst_texts_of_all_variants_in_one_table() -> None:
    (variant,) = make(worst="odd").variants
    better = replace(make(figure=0.995).variants[0], name="cpu/fp32")
    report = replace(make(worst="odd"), variants=(variant, better))
    page = render_report(report, "html")
    table = page[page.index("Worst texts by variant") :]
    table = table[: table.index("</table>")]
    rows = re.findall(r'<bdi dir="auto">(.*?)</bdi>.*?</tr>', table)
    assert rows[0] == "“odd”"
    assert "(the empty text)" in rows
    assert '<td class="n h5">✗ 0.980000</td><td class="n h2">0.995000</td>' in table


def test_html_says_when_where_and_how_to_repeat() -> None:
    header, _, _ = render_report(make(), "html").partition("</header>")
    assert "<dt>date</dt><dd>2026-11-27</dd>" in header
    assert "<dt>processor</dt><dd>A &amp; B</dd>" in header
    assert "<code>toolkit verify it</code>" in header


def test_html_of_a_whole_bundle_is_under_300_kb() -> None:
    (variant,) = make().variants
    infos = make().corpus * 100
    gates = tuple(replace(variant.gates[1], name=f"gate-{i}") for i in range(17))
    cosines = tuple(1 - 1e-5 * (i % 97) for i in range(400))
    variants = tuple(
        replace(variant, name=f"target/{i}", gates=gates, cosines=cosines) for i in range(7)
    )
    assert len(render_report(replace(make(), variants=variants, corpus=infos), "html")) < 300_000


@pytest.mark.parametrize(
    ("figure", "threshold", "comparison", "shown"),
    [
        (0.9999999999998, 0.999999, ">=", "0.9999999"),
        (0.98999999999, 0.99, ">=", "0.9899999"),
        (1.0, 0.999, ">=", "1.000"),
        (0.98, 0.99, ">=", "0.98"),
        (4.9e-7, 0.001, "<=", "4.9e-07"),
        (0.05000000001, 0.05, "<=", "0.0500001"),
        (256.0, 256.0, "==", "256"),
        (float("nan"), 0.99, ">=", "nan"),
    ],
)
def test_a_figure_has_the_decimals_of_its_threshold(
    figure: float, threshold: float, comparison: str, shown: str
) -> None:
    gate = replace(
        make().variants[0].gates[1], figure=figure, threshold=threshold, comparison=comparison
    )
    assert format_measured(gate) == shown


@pytest.mark.parametrize(
    ("figure", "threshold", "comparison", "share", "shown"),
    [
        (0.995, 0.99, ">=", 0.5, "50 %"),
        (1.0000001, 0.99, ">=", 0.0, "0 %"),
        (0.98999, 0.99, ">=", 1.001, "101 %"),
        (0.01, 1.0, "<=", 0.01, "1 %"),
        (1e-9, 1.0, "<=", 1e-9, "< 1 %"),
        (50.0, 1.0, "<=", 50.0, "> 999 %"),
        (0.0, 0.0, "==", None, ""),
        (1.0, 1.0, ">=", None, ""),
        (float("nan"), 0.99, ">=", None, ""),
    ],
)
def test_share_of_the_allowed_error(
    figure: float, threshold: float, comparison: str, share: float | None, shown: str
) -> None:
    gate = replace(
        make().variants[0].gates[1], figure=figure, threshold=threshold, comparison=comparison
    )
    found = share_used(gate)
    assert found == (None if share is None else pytest.approx(share))
    assert found is None or format_share(found) == shown


def test_anchors_differ_where_names_differ_in_signs_only() -> None:
    (variant,) = make().variants
    report = replace(make(), variants=(variant, replace(variant, name="cpu int8")))
    assert anchor(report, "cpu/int8", "limit") == "cpu-int8-limit"
    assert anchor(report, "cpu int8", "limit") == "cpu-int8-2-limit"


def test_the_commit_is_that_of_the_ci_or_of_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_SHA", "abc")
    assert describe_environment()["commit"] == "abc"
    monkeypatch.delenv("GITHUB_SHA")
    monkeypatch.delenv("CI_COMMIT_SHA", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    found = describe_environment()
    assert "commit" not in found
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", found["date"])
