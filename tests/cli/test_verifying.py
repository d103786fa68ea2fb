"""`toolkit verify` around the judging: options in, a summary, reports and an exit code out."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from minilm.cli.report_output import FORMATS
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
        "checking files\njudging cpu/int8\nnote: gate golden: left out\n",
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
    assert "failed" not in result.stdout


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
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "cpu/int8 cosine-min 0.5 >= 0.99 an odd text see the text" in lines
    assert result.stderr.endswith("error: bad is not the original's equal: cpu/int8 cosine-min\n")
    assert "policy built-in\ngate" not in result.stdout


def test_a_policy_that_is_asked_for_is_printed(
    verified: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "empty.toml"
    policy.touch()
    table = "policy built-in\ngate        cpu/int8\ncosine-min  >= 0.99\n"  # as the report says
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
    assert result.stderr.splitlines() == [
        "checking files",
        "note: cpu/fp32 cosine-min: lost in the middle",
        "note: cpu/fp32 kendall: lost in the middle",
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
        (("--report", "json"), "say where to: --report-dir DIR"),
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
