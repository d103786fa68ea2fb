"""`toolkit verify` around the judging: options in, a summary, reports and an exit code out."""

import io
import json
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from minilm.cli.report_output import FORMATS, print_report
from minilm.verify import BUILT_IN, REPORT_FORMATS, Report, Skipped

from tests.support.cli import toolkit
from tests.support.reports import FAILED, GATE, REPORT


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Replaces the judge, who fails the bundle called "bad"; holds what it was asked."""
    calls: list[dict[str, Any]] = []

    def verify_bundle(
        bundle: tuple[Path, Any], reference: object, *, on_progress: Any, **options: Any
    ) -> Report:
        calls.append({"variants": bundle[1], "reference": reference, **options})
        on_progress("judging cpu/int8")
        return FAILED if bundle[0].name == "bad" else REPORT

    monkeypatch.setattr("minilm.verify.check_bundle", lambda bundle, names: (bundle, names))
    monkeypatch.setattr("minilm.verify.resolve_reference", lambda against, _: against)
    monkeypatch.setattr("minilm.verify.read_sts_pairs", str)
    monkeypatch.setattr("minilm.verify.read_corpus_file", str)
    monkeypatch.setattr("minilm.verify.verify_bundle", verify_bundle)
    return calls


def test_verify_prints_a_line_a_variant(verified: list[dict[str, Any]]) -> None:
    result = toolkit("verify", "good")
    assert (result.exit_code, result.stderr) == (
        0,
        "checking files\nloading the original\njudging cpu/int8\nnote: gate golden: left out\n",
    )
    assert verified == [
        {
            "variants": None,
            "reference": None,
            "threads": None,
            "policy": BUILT_IN,
            "pairs": None,
            "corpus": None,
        }
    ]
    assert result.stdout.startswith("good against the original, policy built-in\n")
    assert "failed" not in result.stdout.lower()
    assert result.stdout.endswith(
        "good passed all 2 gates.\n"
        "reports: none; --report-dir DIR writes them\n"
        "next: toolkit build, for a bundle that `minilm.runtime` loads\n"
    )


def test_verify_passes_options_on(verified: list[dict[str, Any]], tmp_path: Path) -> None:
    policy = tmp_path / "strict.toml"
    policy.write_text("[int8]\ncosine-min = 0.995\n", encoding="utf-8")
    result = toolkit(
        "verify", "--against", "org/name", "--variants", "cuda/int8,cpu/int8", "--threads", "2",
        "--policy", policy, "--sts", "pairs.csv", "--corpus", "texts.txt",
    )  # fmt: skip
    assert result.exit_code == 0
    (options,) = verified
    assert options.pop("policy").thresholds("cpu/int8")["cosine-min"] == 0.995
    assert options == {
        "variants": ("cpu/int8", "cuda/int8"),
        "reference": "org/name",
        "threads": 2,
        "pairs": "pairs.csv",
        "corpus": "texts.txt",
    }


def test_a_failed_gate_exits_with_1(verified: list[dict[str, Any]]) -> None:
    result = toolkit("verify", "bad")
    assert result.exit_code == 1
    assert result.stdout.endswith(
        "✗ FAILED cpu/int8 cosine-min: 0.50, asked for at least 0.99\n"
        "    lowest cosine to the original; worst: an odd text\n"
        "    advice: see the text\n"
        "bad failed 1 of 2 gates.\n"
        "reports: none; --report-dir DIR writes them\n"
        "next: toolkit verify bad --variants cpu/int8 --report-dir report\n"
    )
    again = toolkit("verify", "bad", "--threads", "2").stdout
    assert "next: toolkit verify bad --variants cpu/int8 --threads 2 --report-dir report" in again
    assert "cpu/int8  ✗ FAILED 1  0.750000  0.500000" in result.stdout
    assert result.stderr.endswith("error: bad is not the original's equal: cpu/int8 cosine-min\n")
    assert "verdict" not in result.stdout


def test_a_policy_that_is_asked_for_is_printed(
    verified: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "empty.toml"
    policy.touch()
    table = (
        "policy built-in\n"
        "variant   gate        verdict   figure   asked\n"
        "cpu/int8  cosine-min  ✓ passed  0.99951  >= 0.99\n"
    )
    assert table in toolkit("verify", "good", "--policy", policy).stdout
    assert table not in toolkit("verify", "good", "--policy", policy, "--json").stdout
    monkeypatch.setattr(logging.getLogger("minilm"), "handlers", [logging.NullHandler()])
    assert table in toolkit("verify", "good").stdout


def test_what_a_variant_leaves_out_is_said_once(
    verified: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (variant,) = REPORT.variants
    sts = Skipped(gate="sts-drop", reason="left out")
    detailed = replace(GATE, passed=False, detail="lost in the middle")
    variants = (
        replace(variant, skipped=(sts, Skipped(gate="limit", reason="alone"))),
        replace(variant, name="cuda/int8", skipped=(sts,), cosines=()),
        replace(variant, name="cpu/fp32", gates=(detailed, replace(detailed, name="kendall"))),
    )
    monkeypatch.setattr(
        "minilm.verify.verify_bundle", lambda *_, **__: replace(REPORT, variants=variants)
    )
    result = toolkit("verify", "good")
    assert result.exit_code == 1
    assert result.stdout.count("    lost in the middle\n") == 2
    names = re.findall(r"^c\w+/\w+", result.stdout, re.MULTILINE)
    assert names == ["cpu/fp32", "cpu/int8", "cuda/int8"]  # failed first
    assert result.stderr.splitlines() == [
        "checking files",
        "loading the original",
        "note: gate golden: left out",
        "note: cpu/int8, cuda/int8: gate sts-drop: left out",
        "note: cpu/int8: gate limit: alone",
        "error: good is not the original's equal: cpu/fp32 cosine-min, kendall",
    ]


@pytest.mark.parametrize(("name", "code"), [("good", 0), ("bad", 1)])
def test_verify_json_has_the_same_exit_code(
    name: str, code: int, verified: list[dict[str, Any]]
) -> None:
    result = toolkit("verify", name, "--json")
    assert result.exit_code == code
    assert json.loads(result.stdout)["passed"] == (code == 0)


@pytest.mark.parametrize("name", ["good", "bad"])
@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ((), {"report.json", "report.md", "report.html", "junit.xml"}),
        (("--report", "sarif"), {"report.sarif"}),
        (("--report", "junit, html", "--report", "junit"), {"junit.xml", "report.html"}),
        (("--report", ",".join(FORMATS)), {name for name, _ in REPORT_FORMATS.values()}),
    ],
)
def test_verify_writes_its_report(
    name: str,
    asked: tuple[str, ...],
    written: set[str],
    verified: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    result = toolkit("verify", name, "--report-dir", tmp_path / "report", *asked)
    assert result.exit_code == (0 if name == "good" else 1)
    assert {path.name for path in (tmp_path / "report").iterdir()} == written
    if not asked:
        document = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
        assert document["passed"] == (name == "good")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("--report", "pdf", "--report-dir", "r"), f"no format 'pdf'; known: {', '.join(FORMATS)}"),
    ],
)
def test_a_report_that_cannot_be(
    asked: tuple[str, ...], message: str, verified: list[dict[str, Any]]
) -> None:
    result = toolkit("verify", "good", *asked)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: --report: {message}\n"
    assert verified == []


def test_a_hopeless_report_directory_is_found_first(
    verified: list[dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    result = toolkit("verify", "good", "--report-dir", tmp_path / "file" / "report")
    assert result.exit_code == 2
    assert result.stderr == (
        f"error: --report-dir: cannot write reports to {tmp_path / 'file' / 'report'}: "
        f"{tmp_path / 'file'} is a file\n"
    )
    assert verified == []


def test_reports_go_to_a_folder_of_their_own_unless_told(
    verified: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = toolkit("verify", "good", "--report", "html,json")
    assert result.exit_code == 0
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"report.html", "report.json"}
    assert "\nreports: report/report.html, report/report.json\n" in result.stdout
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "<code>toolkit verify good</code>" in page


def test_the_report_repeats_the_options(verified: list[dict[str, Any]]) -> None:
    options = ("--variants", "cpu/int8", "--sts", "my pairs.csv", "--threads", "2")
    document = json.loads(toolkit("verify", "good", *options, "--json").stdout)
    assert document["command"] == (
        "toolkit verify good --variants cpu/int8 --sts 'my pairs.csv' --threads 2"
    )


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_a_failure_is_red_and_a_word(
    no_color: str, coloured: bool, verified: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    shown = io.StringIO()
    shown.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdout", shown)
    print_report(FAILED, "bad")
    text = shown.getvalue()
    assert "FAILED" in text
    assert ("31m" in text) == coloured
