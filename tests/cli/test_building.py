"""The commands that build and judge: options in, calls out, a summary or an exit code."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from minilm.cli.app import app
from minilm.cli.build import output_for
from minilm.cli.reporting import FORMATS
from minilm.pipeline import BuildOptions, BuildSummary, StageResult
from minilm.runtime.manifest import VARIANTS, FileEntry
from minilm.verify import (
    BUILT_IN,
    REPORT_FORMATS,
    GateResult,
    Report,
    TextInfo,
    VariantReport,
)
from typer.testing import CliRunner, Result

GATE = GateResult(
    name="cosine-min",
    passed=True,
    figure=0.99951,
    threshold=0.99,
    comparison=">=",
    meaning="lowest cosine to the original",
    worst="an odd text",
    advice="see the text",
)
REPORT = Report(
    artifact="bundle",
    model="org/model",
    reference="the original",
    policy="built-in",
    gates=(),
    variants=(
        VariantReport(
            name="cpu/int8", gates=(GATE, GATE), cosines=(1.0, 0.5), size_bytes=23_600_000
        ),
    ),
    corpus=tuple(TextInfo(text=text, category="odd", tokens=4) for text in ("a text", "b")),
    notes=("gate golden: left out",),
)
FAILED = replace(
    REPORT,
    variants=(replace(REPORT.variants[0], gates=(GATE, replace(GATE, passed=False, figure=0.5))),),
)


def toolkit(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[BuildOptions]:
    """Replaces the pipeline; holds the options that it was called with."""
    calls: list[BuildOptions] = []

    def build(options: BuildOptions, on_progress: Any) -> BuildSummary:
        calls.append(options)
        on_progress("export")
        return BuildSummary(
            output=options.output,
            stages=(
                StageResult(name="export", seconds=8.25, reused=False),
                StageResult(name="cpu/int8", seconds=0.1, reused=True),
            ),
            files=(FileEntry(path="onnx/model.onnx", bytes=90_374_454, sha256="3a1ca4cd" * 8),),
            report=REPORT if options.verify else None,
        )

    monkeypatch.setattr("minilm.pipeline.build", build)
    return calls


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Replaces the judge, who fails the bundle called "bad"; holds what it was asked."""
    calls: list[dict[str, Any]] = []

    def verify_bundle(bundle: Path, on_progress: Any, **options: Any) -> Report:
        calls.append(options)
        on_progress("judging cpu/int8")
        return FAILED if bundle.name == "bad" else REPORT

    monkeypatch.setattr("minilm.verify.verify_bundle", verify_bundle)
    return calls


def test_build_prints_stages_and_files(built: list[BuildOptions]) -> None:
    result = toolkit("build")
    assert (result.exit_code, result.stderr) == (0, "export\nnote: gate golden: left out\n")
    assert built == [BuildOptions()]
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "export 8.2" in lines
    assert "cpu/int8 0.1 reused" in lines
    assert "artifacts/all-MiniLM-L6-v2: 1 files, 90.4 MB" in lines
    assert "onnx/model.onnx 90.4 MB 3a1ca4cd3a1c" in lines
    assert "cpu/int8 2/2 passed 0.750000 0.505000 0.500000 23.6 MB 0.0" in lines


def test_build_passes_options_on(built: list[BuildOptions], tmp_path: Path) -> None:
    result = toolkit(
        "build", "--model", "org/name@v1", "--variants", "openvino/int8,cpu/fp32",
        "--variant", "cpu/fp32", "--fresh", "--force", "--cache-dir", tmp_path, "--no-verify",
    )  # fmt: skip
    assert result.exit_code == 0
    assert built == [
        BuildOptions(
            model="org/name@v1",
            output=Path("artifacts/name"),
            variants=("cpu/fp32", "openvino/int8"),
            fresh=True,
            force=True,
            cache_dir=tmp_path,
            verify=False,
        )
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "calibration file {} has 0 texts, at least 32 are needed: give one a line"),
        (b"one\ntwo\n", "calibration file {} has 2 texts, at least 32 are needed: give one a line"),
        (
            b"\x7fELF\x02\xff\xfe",
            "calibration file {} is not UTF-8 text (byte 5): give at least 32 texts, one a line",
        ),
        (
            b"text\0\n" * 40,
            "calibration file {} is binary: give at least 32 texts in UTF-8, one a line",
        ),
        (None, "cannot read calibration file {}: No such file or directory"),
    ],
    ids=["empty", "few", "not-utf-8", "binary", "missing"],
)
@pytest.mark.parametrize("command", ["build", "optimize"])
def test_bad_calibration_file_is_found_first(
    command: str, content: bytes | None, message: str, built: list[BuildOptions], tmp_path: Path
) -> None:
    path, graph, output = tmp_path / "texts", tmp_path / "model.onnx", tmp_path / "output"
    graph.touch()
    if content is not None:
        path.write_bytes(content)
    graphs = [graph] if command == "optimize" else []
    result = toolkit(command, *graphs, "--calibration", path, "--output", output)
    assert (result.exit_code, result.stderr) == (5, f"error: {message.format(path)}\n")
    assert built == []
    assert not output.exists()


def test_calibration_texts_reach_every_variant(
    built: list[BuildOptions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = tuple(f"text {n}" for n in range(32))
    path, graph = tmp_path / "texts", tmp_path / "model.onnx"
    path.write_text("\n\n".join(lines), encoding="utf-8")
    graph.touch()
    assert toolkit("build", "--calibration", path).exit_code == 0
    assert built == [BuildOptions(calibration=lines)]

    asked: list[tuple[str, ...] | None] = []

    def build_variant(_: object, name: str, output: Path, corpus: tuple[str, ...] | None) -> Any:
        asked.append(corpus)
        return SimpleNamespace(name=name, files=())

    monkeypatch.setattr("minilm.optimize.build_variant", build_variant)
    assert toolkit("optimize", graph, "--variants", "cpu/int8").exit_code == 0
    assert (
        toolkit("optimize", graph, "--variants", "cpu/int8", "--calibration", path).exit_code == 0
    )
    assert asked == [None, lines]


def test_build_json(built: list[BuildOptions]) -> None:
    document = json.loads(toolkit("build", "--output", "here", "--json").stdout)
    assert document == {
        "output": "here",
        "stages": [
            {"name": "export", "seconds": 8.25, "reused": False},
            {"name": "cpu/int8", "seconds": 0.1, "reused": True},
        ],
        "files": [{"path": "onnx/model.onnx", "bytes": 90_374_454, "sha256": "3a1ca4cd" * 8}],
        "passed": True,
    }


def test_each_model_has_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny").mkdir()
    monkeypatch.chdir(tmp_path / "tiny")
    assert output_for(None) == Path("artifacts/all-MiniLM-L6-v2")
    assert output_for("org/name") == Path("artifacts/name")
    assert output_for(str(tmp_path / "tiny")) == Path("artifacts/tiny")
    assert output_for(".") == Path("artifacts/tiny")


def test_verify_prints_a_line_a_variant(verified: list[dict[str, Any]]) -> None:
    result = toolkit("verify", "good")
    assert (result.exit_code, result.stderr) == (
        0,
        "judging cpu/int8\nnote: gate golden: left out\n",
    )
    assert verified == [
        {
            "against": None,
            "variants": None,
            "threads": None,
            "policy": BUILT_IN,
            "sts_file": None,
            "corpus_file": None,
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
        "against": "org/name",
        "variants": ("cpu/int8", "cuda/int8"),
        "threads": 2,
        "sts_file": Path("pairs.csv"),
        "corpus_file": Path("texts.txt"),
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
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (variant,) = REPORT.variants
    detailed = replace(GATE, passed=False, detail="lost in the middle")
    variants = (
        replace(variant, notes=("gate sts-drop: left out", "alone")),
        replace(variant, name="cuda/int8", notes=("gate sts-drop: left out",), cosines=()),
        replace(variant, name="cpu/fp32", gates=(detailed, replace(detailed, name="kendall"))),
    )
    monkeypatch.setattr(
        "minilm.verify.verify_bundle", lambda *_, **__: replace(REPORT, variants=variants)
    )
    result = toolkit("verify", "good")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "note: cpu/fp32 cosine-min: lost in the middle",
        "note: cpu/fp32 kendall: lost in the middle",
        "note: gate golden: left out",
        "note: cpu/int8, cuda/int8: gate sts-drop: left out",
        "note: cpu/int8: alone",
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
    assert result.stderr.endswith(f"Error: Invalid value for --report: {message}\n")
    assert verified == []


def test_a_hopeless_report_directory_is_found_first(
    verified: list[dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    result = toolkit("verify", "good", "--report-dir", tmp_path / "file" / "report")
    assert result.exit_code == 2
    assert result.stderr == (
        f"error: cannot write reports to {tmp_path / 'file' / 'report'}: "
        f"{tmp_path / 'file'} is a file\n"
    )
    assert verified == []


def test_optimize_needs_a_graph(tmp_path: Path) -> None:
    result = toolkit("optimize", tmp_path / "absent.onnx")
    assert result.exit_code == 2
    assert "absent.onnx: `toolkit export` makes one" in result.stderr


def test_export_of_no_model_exits_with_5(tmp_path: Path) -> None:
    result = toolkit("export", "--model", tmp_path / "absent", "--output", tmp_path / "m.onnx")
    assert result.exit_code == 5
    assert result.stderr.startswith("error: model ")
    assert list(tmp_path.iterdir()) == []


def test_every_variant_is_built_unless_some_are_named(built: list[BuildOptions]) -> None:
    toolkit("build")
    assert built[0].variants == tuple(VARIANTS)
