"""The commands that build: options in, calls out, a summary or an exit code."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from minilm.cli.commands.build import output_for
from minilm.optimize.calibration.corpus import texts
from minilm.pipeline import BuildOptions, BuildSummary, StageResult
from minilm.runtime.manifest import VARIANTS, FileEntry
from onnx import TensorProto, helper

from tests.support.cli import toolkit
from tests.support.reports import REPORT


def graph_with(*names: str) -> bytes:
    """An ONNX file of a graph that has nothing but inputs of these names."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ("n",)) for name in names]
    data: bytes = helper.make_model(helper.make_graph([], "graph", inputs, [])).SerializeToString()
    return data


GRAPH = graph_with("input_ids", "attention_mask", "last_hidden_state", "sentence_embedding")


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


def test_build_prints_stages_and_files(built: list[BuildOptions]) -> None:
    result = toolkit("build")
    assert (result.exit_code, result.stderr) == (0, "export\nnote: gate golden: left out\n")
    assert built == [BuildOptions()]
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "export 8.2" in lines
    assert "cpu/int8 0.1 reused" in lines
    assert "artifacts/all-MiniLM-L6-v2: 1 files, 90.4 MB" in lines
    assert "onnx/model.onnx 90.4 MB 3a1ca4cd3a1c" in lines
    assert "cpu/int8 ✓ passed 2 0.750000 0.500000 >= 0.99 23.6 MB" in lines


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
    graph.write_bytes(GRAPH)
    if content is not None:
        path.write_bytes(content)
    graphs = [graph] if command == "optimize" else []
    result = toolkit(command, *graphs, "--calibration", path, "--output", output)
    assert (result.exit_code, result.stderr) == (
        2,
        f"error: --calibration: {message.format(path)}\n",
    )
    assert built == []
    assert not output.exists()


def test_calibration_texts_reach_every_variant(
    built: list[BuildOptions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = tuple(f"text {n}" for n in range(32))
    path, graph = tmp_path / "texts", tmp_path / "model.onnx"
    path.write_text("\n\n".join(lines), encoding="utf-8")
    graph.write_bytes(GRAPH)
    assert toolkit("build", "--calibration", path).exit_code == 0
    assert built == [BuildOptions(calibration=lines)]

    asked: list[tuple[str, ...]] = []

    def build_variant(_: object, name: str, output: Path, calibration: Any) -> Any:
        asked.append(calibration.corpus)
        return SimpleNamespace(name=name, files=())

    monkeypatch.setattr("minilm.optimize.build_variant", build_variant)
    assert toolkit("optimize", graph, "--variants", "cpu/int8").exit_code == 0
    assert (
        toolkit("optimize", graph, "--variants", "cpu/int8", "--calibration", path).exit_code == 0
    )
    assert asked == [texts(), lines]


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


def test_optimize_needs_a_graph(tmp_path: Path) -> None:
    result = toolkit("optimize", tmp_path / "absent.onnx")
    assert result.exit_code == 2
    assert "absent.onnx: `toolkit export` makes one" in result.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no graph", "{} is not an ONNX graph (Error parsing message"),
        (b"", "{} has no input_ids, attention_mask, last_hidden_state, sentence_embedding: give"),
        (graph_with("input_ids", "attention_mask"), "{} has no last_hidden_state, sentence_emb"),
    ],
    ids=["text", "empty", "foreign"],
)
def test_optimize_of_another_file_is_wrong_usage(
    content: bytes, message: str, tmp_path: Path
) -> None:
    graph = tmp_path / "model.onnx"
    graph.write_bytes(content)
    result = toolkit("optimize", graph, "--output", tmp_path / "out", "--model", tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: GRAPH: {message.format(graph)}")
    assert result.stderr.endswith("give one that `toolkit export` wrote\n")
    assert list(tmp_path.iterdir()) == [graph]


def test_optimize_into_a_file_is_wrong_usage(tmp_path: Path) -> None:
    graph = tmp_path / "model.onnx"
    graph.write_bytes(GRAPH)
    result = toolkit("optimize", graph, "--output", graph)
    assert (result.exit_code, result.stderr) == (
        2,
        f"error: --output: {graph} is not a directory\n",
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent/model.onnx", "{0}/absent/model.onnx: there is no directory {0}/absent"),
        ("folder", "{0}/folder is a directory"),
        ("pipe", "{0}/pipe is a device or a pipe: give the name of a file"),
    ],
)
def test_export_where_nothing_can_be_written_is_wrong_usage(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minilm.convert.resolve", lambda _: pytest.fail("the work has begun"))
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    result = toolkit("export", "--output", tmp_path / name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: --output: {message.format(tmp_path)}\n"


def test_export_of_no_model_exits_with_5(tmp_path: Path) -> None:
    result = toolkit("export", "--model", tmp_path / "absent", "--output", tmp_path / "m.onnx")
    assert result.exit_code == 5
    assert result.stderr.startswith("error: model ")
    assert list(tmp_path.iterdir()) == []


def test_every_variant_is_built_unless_some_are_named(built: list[BuildOptions]) -> None:
    toolkit("build")
    assert built[0].variants == tuple(VARIANTS)
