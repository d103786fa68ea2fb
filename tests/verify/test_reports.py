"""Every format of the report: what it shows, escapes and leaves out."""

# Over 300 lines: six formats of one report, which all tests share.

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, validate
from markdown_it import MarkdownIt
from minilm.verify import (
    REPORT_FORMATS,
    Report,
    ReportFormat,
    Skipped,
    check_writable,
    render_report,
    write_reports,
)
from minilm.verify.gates import GATES, Measurement
from minilm.verify.gates.base import result_of
from minilm.verify.reports.files import ReportPathError
from minilm.verify.reports.formatting import format_figure, format_size, format_threshold
from minilm.verify.reports.json import schema
from minilm.verify.results import shorten

from tests.support.sample_report import make


@pytest.mark.parametrize("figure", [0.98, 0.995, float("nan")])
def test_json_follows_its_schema(figure: float) -> None:
    data = json.loads(render_report(make(figure=figure), "json"))
    validate(data, schema())
    assert data["passed"] is (figure == 0.995)
    assert data["variants"][0]["passed"] is data["passed"]


def test_the_schema_names_every_field() -> None:
    Draft202012Validator.check_schema(schema())
    data = json.loads(render_report(make(), "json"))
    (variant,) = data["variants"]
    described = schema()["$defs"]
    assert set(schema()["properties"]) == set(data)
    assert set(described["variant"]["properties"]) == set(variant)
    assert set(described["gate"]["properties"]) == set(variant["gates"][0])
    assert set(described["text"]["properties"]) == set(data["corpus"][0])


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_html_is_one_page_without_scripts_or_requests() -> None:
    text = render_report(make(), "html")
    page = Page()
    page.feed(text)
    assert page.open == []
    tags = {tag for tag, _ in page.seen}
    assert not tags & {"script", "img", "iframe", "object", "form"}
    links = [value for _, a in page.seen for key, value in a.items() if key in ("href", "src")]
    inner = [link[1:] for link in links if link is not None and link.startswith("#")]
    assert [link for link in links if link is not None and not link.startswith("#")] == ["data:,"]
    named = [attributes["id"] for _, attributes in page.seen if "id" in attributes]
    assert len(named) == len(set(named))
    assert set(inner) <= set(named)
    assert "cpu-int8-cosine-min" in inner
    assert "url(" not in text
    assert "@import" not in text
    policy = next(a["content"] for _, a in page.seen if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_html_says_the_verdict_first_and_every_plot_in_words() -> None:
    page = Page()
    page.feed(render_report(make(), "html"))
    words = " ".join(page.words)
    verdict = "all-MiniLM-L6-v2: Failed 1 of 3 gates"
    assert verdict in words
    assert words.index(verdict) < words.index("What failed")
    plots = [attributes for tag, attributes in page.seen if tag == "svg"]
    titles = {attributes["id"] for tag, attributes in page.seen if tag == "title" and attributes}
    assert len(plots) == 2
    assert {plot["aria-labelledby"] for plot in plots} == titles
    assert all(plot["role"] == "img" for plot in plots)
    assert "cpu/int8: 4 texts, mean cosine" in words
    assert "of 2 to 5 tokens; the furthest has 4 tokens and cosine 0.98" in words
    assert "Worst texts" in words
    assert "com.microsoft.Gelu 6" in words
    assert "A & B" in words


def test_html_of_a_pass_has_no_failures_and_closed_details() -> None:
    text = render_report(make(figure=0.995), "html")
    assert "Passed all 3 gates" in text
    assert "What failed" not in text
    assert "<details open" not in text


def test_junit_has_a_case_per_gate() -> None:
    root = ET.fromstring(render_report(make(), "junit"))
    assert root.attrib["tests"] == "5"
    assert root.attrib["failures"] == "1"
    assert root.attrib["skipped"] == "2"
    assert [suite.attrib["name"] for suite in root] == ["bundle", "cpu/int8"]
    failure = root.find("testsuite/testcase/failure")
    assert failure is not None
    assert failure.attrib["message"] == "cosine-min is 0.98, asked for at least 0.99"
    assert failure.text is not None
    assert "worst: <script>" in failure.text
    figures = {
        case.attrib["name"]: {p.attrib["name"]: p.attrib["value"] for p in case.iter("property")}
        for case in root.iter("testcase")
    }
    assert figures["finite"] == {"figure": "0.0", "comparison": "==", "threshold": "0.0"}
    assert figures["cosine-min"]["threshold"] == "0.99"
    assert figures["cosine-min"]["share of the allowed error"] == "2"


def test_markdown_says_what_failed_and_what_to_do() -> None:
    text = render_report(make(), "markdown")
    assert text.startswith("## ❌ all-MiniLM-L6-v2: FAILED 1 of 3 gates\n")
    assert "- ❌ **cpu/int8: cosine-min** is 0.98, asked for at least 0.99" in text
    assert "Advice: see the text" in text
    assert "<script>" not in text
    assert "@all" not in text
    assert "- bundle: gate golden: left out" in text
    rows = [line for line in text.splitlines() if line.startswith("| cpu/int8 | ")]
    assert rows == [
        "| cpu/int8 | ❌ **failed** | 0.980000 (≥ 0.99) | 200 % | 0.994725 | 1 of 2 | 23.5 MB |"
    ]
    assert "| cosine-min | ❌ **failed** 0.98 (≥ 0.99) |" in text
    assert "| finite | ✅ 0 (= 0) |" in text
    assert "| top10 | left out |" in text
    assert "\nTo repeat: toolkit verify it\n" in text
    assert render_report(make(figure=0.995), "markdown").startswith(
        "## ✅ all-MiniLM-L6-v2: passed all 3 gates"
    )


def test_sarif_has_a_result_per_failed_gate() -> None:
    data = json.loads(render_report(make(), "sarif"))
    assert data["version"] == "2.1.0"
    (run,) = data["runs"]
    (result,) = run["results"]
    assert result["ruleId"] == "cosine-min"
    assert result["ruleId"] in {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert result["message"]["text"].startswith("cpu/int8: cosine-min is 0.98")
    assert json.loads(render_report(make(figure=0.995), "sarif"))["runs"][0]["results"] == []


def test_github_annotates_each_failed_gate() -> None:
    error, verdict, *notes = render_report(make(worst="50%, a:b"), "github").splitlines()
    assert error == (
        "::error title=all-MiniLM-L6-v2 cpu/int8%3A cosine-min failed::"
        "0.98, asked for at least 0.99: lowest cosine to the original%0A"
        "Worst: 50%25, a:b%0Aseen%0AAdvice: see the text: long ones point to the limit, "
        "odd ones to the tokenizer"
    )
    assert verdict.startswith("::error title=all-MiniLM-L6-v2%3A failed 1 of 3 gates::")
    assert notes == [
        "::notice title=all-MiniLM-L6-v2 bundle::gate golden: left out",
        "::notice title=all-MiniLM-L6-v2 cpu/int8::gate top10: switched off by the policy",
    ]
    passed = render_report(make(figure=0.995), "github").splitlines()
    assert passed[0].startswith("::notice title=all-MiniLM-L6-v2%3A passed all 3 gates::")


@given(text=st.text(max_size=200), figure=st.floats(-1, 1) | st.just(float("nan")))
def test_any_text_can_be_reported(text: str, figure: float) -> None:
    report = make(figure=figure, worst=text)
    for _, render in REPORT_FORMATS.values():
        render(report).encode("utf-8")
    # A line that does not begin so would be a command of the text's own.
    lines = render_report(report, "github").split("\n")[:-1]
    assert all(line.startswith(("::error title=", "::notice title=")) for line in lines)
    ET.fromstring(render_report(report, "junit"))
    page = Page()
    page.feed(render_report(report, "html"))
    assert page.open == []


def everywhere(text: str) -> Report:
    """A report with `text` wherever a bundle, a graph or a text may put one."""
    gate = replace(make().variants[0].gates[1], worst=text, detail=text)
    skipped = (Skipped(gate="top10", reason=text),)
    variant = replace(
        make().variants[0],
        name=text,
        gates=(gate,),
        operators={text: 1},
        runs_on=text,
        skipped=skipped,
    )
    return replace(
        make(),
        artifact=text,
        model=text,
        reference=text,
        policy=text,
        variants=(variant,),
        corpus=tuple(replace(info, text=text, category=text) for info in make().corpus),
        skipped=skipped,
        remarks=(text,),
        environment={"processor": text},
    )


@given(text=st.text(st.characters(exclude_categories=()), min_size=1, max_size=60))
@example(text="\n::error::forged")
@example(text="##[error]forged")
@example(text="</title><script>alert(1)</script>")
@example(text="![x](https://a.b/c.png) <img src=x> @all #1")
def test_any_text_is_safe_anywhere_in_a_report(text: str) -> None:
    report = everywhere(text)
    written = {name: render_report(report, name) for name in get_args(ReportFormat)}
    for name, content in written.items():
        content.encode("utf-8")
        controls = {c for c in content if not c.isprintable()} - {"\n"}
        assert not controls, name
    validate(json.loads(written["json"]), schema())
    lines = written["github"].split("\n")[:-1]
    assert all(line.startswith(("::error title=", "::notice title=")) for line in lines)
    assert not any("##[" in line for line in lines)
    ET.fromstring(written["junit"])
    tree = MarkdownIt("commonmark", {"html": True}).enable("table").parse(written["markdown"])
    blocks = [token.content for token in tree if token.type == "html_block"]
    assert blocks == ["<details><summary>All gates</summary>\n", "</details>\n"]
    spans = [span for token in tree for span in token.children or ()]
    assert {span.type for span in spans} <= {
        "text", "text_special", "strong_open", "strong_close", "html_inline"
    }  # fmt: skip
    assert [s.content for s in spans if s.type == "html_inline"] == ["<sub>", "</sub>"]
    plain, page = Page(), Page()
    plain.feed(render_report(everywhere("plain"), "html"))
    page.feed(written["html"])
    assert [tag for tag, _ in page.seen] == [tag for tag, _ in plain.seen]
    assert page.open == []
    sarif = json.loads(written["sarif"])["runs"][0]["results"][0]
    assert "](" not in sarif["message"]["text"]
    uri = sarif["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert re.fullmatch(r"[\w.~/%-]*", uri, re.ASCII)


def test_operators_are_listed_by_count_then_by_name() -> None:
    operators = {"com.microsoft.Gelu": 6, "Add": 7, "ReduceMax": 6, "Max": 6}
    variant = replace(make().variants[0], operators=operators)
    page = render_report(replace(make(), variants=(variant,)), "html")
    assert ">Add 7, Max 6, ReduceMax 6, com.microsoft.Gelu 6</p>" in page


@pytest.mark.parametrize("limit", [1.0, -1.0, 0.5])
def test_plots_of_any_threshold(limit: float) -> None:
    assert "nan" not in render_report(make(limit=limit), "html")


@given(st.text())
def test_a_shortened_text_is_one_visible_line(text: str) -> None:
    short = shorten(text)
    assert short
    assert short.isprintable()
    assert len(short) <= max(72, 20 + 12 * len(text))


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("", "(the empty text)"),
        ("  ", "(white space: '  ')"),
        ("a\nb", "a\\nb"),
        ("x" * 80, "x" * 71 + "\N{HORIZONTAL ELLIPSIS}"),
        ("\u202eabc", "\\u202eabc"),
    ],
)
def test_shorten(text: str, short: str) -> None:
    assert shorten(text) == short


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (256.0, "256"),
        (1.0, "1"),
        (0.999999, "0.999999"),
        (0.99, "0.99"),
        (1e-6, "1.0e-06"),
        (-1.0, "-1"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_number(value: float, said: str) -> None:
    assert format_figure(value) == said


def test_asked_and_size() -> None:
    assert format_threshold(result_of(GATES["limit"], Measurement(figure=1), 256)) == "exactly 256"
    assert (
        format_threshold(result_of(GATES["unit-length"], Measurement(figure=1), 0.5))
        == "at most 0.5"
    )
    assert format_size(23_450_000) == "23.4 MB"


def test_reports_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "report"
    write_reports(make(), folder)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["junit.xml", "report.html", "report.json", "report.md"]
    assert (folder / "report.json").read_text(encoding="utf-8") == render_report(make(), "json")
    write_reports(make(), folder, formats=["sarif"])
    assert (folder / "report.sarif").is_file()


def test_an_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(ReportPathError, match="unknown report format 'pdf'; known: json") as e:
        write_reports(make(), tmp_path, formats=["pdf"])
    assert e.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_what_stood_there_stays_when_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_reports(make(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    open_ = Path.open

    def full(self: Path, mode: str = "r", **settings: Any) -> Any:
        if "junit" in self.name:
            raise OSError(28, "No space left on device")
        return open_(self, mode, **settings)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(ReportPathError, match="No space left on device"):
        write_reports(make(figure=0.995), tmp_path)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_planted_link_is_not_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.urandom", bytes)
    precious = tmp_path / "precious"
    precious.write_text("kept")
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / ".report.md.00000000.part").symlink_to(precious)
    with pytest.raises(ReportPathError, match="File exists"):
        write_reports(make(), folder, formats=["markdown"])
    (tmp_path / ".toolkit-probe.00000000").symlink_to(tmp_path / "made")
    with pytest.raises(ReportPathError, match="File exists"):
        check_writable(tmp_path / "other")
    assert precious.read_text() == "kept"
    assert not (tmp_path / "made").exists()


def test_a_path_that_cannot_be_written_is_found_before(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(ReportPathError, match=re.escape(f"{tmp_path / 'file'} is a file")):
        check_writable(tmp_path / "file" / "report")
    with pytest.raises(ReportPathError, match="cannot write reports to /proc/report"):
        check_writable(Path("/proc/report"))
    with pytest.raises(ReportPathError, match="cannot write reports"):
        write_reports(make(), tmp_path / "file")


def test_nothing_was_judged() -> None:
    """Against the wrong reference no variant is, and every format says so all the same."""
    whole = make()
    failed = result_of(GATES["reference"], Measurement(figure=1, worst="itself"), 0)
    report = replace(whole, gates=(failed,), variants=(), corpus=())
    assert not report.passed
    page = render_report(report, "html")
    assert "Failed 1 of 1 gates" in page
    assert "<svg" not in page
    assert "<h2>Variants</h2>" not in page
    assert "| variant |" not in render_report(report, "markdown")
    assert "reference" in render_report(report, "junit")
    assert "::error " in render_report(report, "github")
    assert json.loads(render_report(report, "sarif"))["runs"][0]["results"]
    validate(json.loads(render_report(report, "json")), schema())
