"""`toolkit verify` and `toolkit compare` on real files: what they say, and how they end."""

# Over 300 lines: two commands that print alike, on the same bundles.

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from minilm.runtime.manifest import MANIFEST_NAME
from minilm.verify import Report

from tests.support.cli import toolkit


@pytest.fixture
def foreign(tiny_model: Path, tiny_bundle: Path, tmp_path: Path) -> Path:
    """What another tool would have written: the model's own directory with a graph."""
    directory = tmp_path / "foreign"
    shutil.copytree(tiny_model, directory)
    (directory / "onnx").mkdir()
    for name in ("model.onnx", "model_int8.onnx"):
        shutil.copyfile(tiny_bundle / "onnx" / name, directory / "onnx" / name)
    return directory


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes to the work fails."""

    def work(*_: object, **__: object) -> Report:
        raise AssertionError("the work has started")

    monkeypatch.setattr("minilm.verify.verify_bundle", work)
    monkeypatch.setattr("minilm.verify.verify_foreign", work)
    monkeypatch.setattr("minilm.verify.compare", work)


def test_a_bundle_by_a_policy_and_labelled_pairs(
    tiny_bundle: Path, tiny_model: Path, tmp_path: Path
) -> None:
    policy, pairs = tmp_path / "loose.toml", tmp_path / "pairs.csv"
    policy.write_text("[fp32]\nkendall = false\ncosine-min = 0.5\nsts-drop = 0.5\n")
    rows = "".join(f"a cat,number {n},{n % 5}\n" for n in range(40))
    pairs.write_text(f"first,second,score\n{rows}")
    result = toolkit(
        "verify", tiny_bundle, "--against", tiny_model, "--variants", "cpu/fp32",
        "--policy", policy, "--sts", pairs, "--threads", "1",
    )  # fmt: skip
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == "policy loose.toml"
    asked = {tuple(words[1:3] + words[-2:]) for words in map(str.split, lines) if len(words) == 7}
    assert {
        ("cosine-min", "✓", ">=", "0.5"),
        ("sts-drop", "✓", "<=", "0.5"),
        ("cosine-mean", "✓", ">=", "0.999999"),
    } <= asked
    assert not any("kendall" in line for line in lines)
    assert "note: cpu/fp32: gate kendall: switched off by the policy\n" in result.stderr
    assert re.search(
        r"^note: cpu/fp32 sts-drop: Spearman correlation (-?0\.\d{5}), the original's \1$",
        result.stderr,
        re.MULTILINE,
    )


def test_a_policy_too_strict_exits_with_1(
    tiny_bundle: Path, tiny_model: Path, tmp_path: Path
) -> None:
    policy = tmp_path / "strict.toml"
    policy.write_text('["cpu/int8"]\ncosine-min = 1\n')
    result = toolkit(
        "verify", tiny_bundle, "--against", tiny_model, "--variant", "cpu/int8", "--policy", policy
    )
    assert result.exit_code == 1
    assert result.stderr.endswith(
        f"error: {tiny_bundle} is not the original's equal: cpu/int8 cosine-min\n"
    )


@pytest.mark.usefixtures("no_work")
def test_a_policy_with_an_unknown_gate(tiny_bundle: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("[int8]\ncosine-min = 0.99\ncosine-max = 0.99\n")
    result = toolkit("verify", tiny_bundle, "--policy", policy)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(
        f"error: --policy: {policy}, line 3: unknown gate 'cosine-max' "
        "(did you mean 'cosine-mean'?); known: unit-length, cosine-mean, "
    )


def test_labelled_pairs_with_a_bad_row(tiny_bundle: Path, tmp_path: Path) -> None:
    pairs, report = tmp_path / "pairs.tsv", tmp_path / "report"
    pairs.write_text("a\tb\t1\na\tc\tmuch\n")
    result = toolkit("verify", tiny_bundle, "--sts", pairs, "--report-dir", report)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"error: --sts: {pairs}, line 2: expected sentence, sentence, score; found 3 fields "
        "with the score 'much'\n"
    )
    assert not report.exists()


def test_a_corpus_of_one_line(tiny_bundle: Path, tmp_path: Path) -> None:
    corpus, report = tmp_path / "texts.txt", tmp_path / "report"
    corpus.write_text("only this\n")
    result = toolkit("verify", tiny_bundle, "--corpus", corpus, "--report-dir", report)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == (
        f"error: --corpus: {corpus} has 1 different text: at least 32 are needed, one a line"
    )
    assert not report.exists()


def test_a_corpus_of_a_hundred_thousand_lines(
    tiny_bundle: Path, tiny_model: Path, tmp_path: Path
) -> None:
    corpus = tmp_path / "texts.txt"
    corpus.write_text("".join(f"text number {n} of many\n" for n in range(100_000)))
    result = toolkit(
        "verify", tiny_bundle, "--corpus", corpus, "--against", tiny_model, "--variant", "cpu/fp32",
        "--json",
    )  # fmt: skip
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert 2000 < len(document["corpus"]) < 2020
    assert any("evenly spread over its 100000 lines" in note for note in document["notes"])


def test_a_corpus_that_is_not_utf_8(tiny_bundle: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "texts.txt"
    corpus.write_bytes(b"fine\n\xff\n")
    result = toolkit("verify", tiny_bundle, "--corpus", corpus)
    assert (result.exit_code, result.stdout) == (2, "")
    assert str(corpus) in result.stderr.splitlines()[-1]


@pytest.mark.usefixtures("no_work")
def test_a_report_path_that_cannot_be_written(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = toolkit("verify", tiny_bundle, "--report-dir", tmp_path / "file" / "report")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"error: --report-dir: cannot write reports to {tmp_path / 'file' / 'report'}: "
        f"{tmp_path / 'file'} is a file\n"
    )


@pytest.mark.usefixtures("no_work")
def test_a_report_whose_file_is_a_directory(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "report.sarif").mkdir()
    asked = ("verify", tiny_bundle, "--report-dir", tmp_path, "--report")
    result = toolkit(*asked, "sarif,json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"error: --report-dir: cannot write reports to {tmp_path}: "
        f"{tmp_path / 'report.sarif'} is a directory\n"
    )
    started = toolkit(*asked, "json")
    assert started.exit_code == 70
    assert "the work has started" in started.stderr


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("place", [".", "reports", "onnx/report"])
def test_a_report_among_the_files_of_the_bundle(place: str, tiny_bundle: Path) -> None:
    before = sorted(tiny_bundle.rglob("*"))
    result = toolkit("verify", tiny_bundle, "--report-dir", tiny_bundle / place)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"only {tiny_bundle / 'report'} is free for reports\n" in result.stderr
    assert sorted(tiny_bundle.rglob("*")) == before


def test_a_report_in_the_bundles_own_place(
    tiny_bundle: Path, tiny_model: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    asked = ("verify", tmp_path / "bundle", "--against", tiny_model, "--variant", "cpu/fp32")
    result = toolkit(*asked, "--report-dir", tmp_path / "bundle/report/ci")
    assert result.exit_code == 0
    assert (tmp_path / "bundle/report/ci/report.json").is_file()
    assert toolkit(*asked).exit_code == 0  # it does not count as one of the bundle's files


@pytest.mark.parametrize("variant", [(), ("--variant", "onnx/model.onnx")])
def test_a_directory_that_is_no_model(variant: tuple[str, ...], tmp_path: Path) -> None:
    result = toolkit("verify", tmp_path, *variant)
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == (
        f"error: {tmp_path} is no model directory: no ONNX file and no OpenVINO IR is below it\n"
    )


def test_no_directory(tmp_path: Path) -> None:
    result = toolkit("verify", tmp_path / "absent")
    assert (result.exit_code, result.stdout) == (3, "")
    assert f"error: no bundle at {tmp_path / 'absent'}" in result.stderr


def test_weights_that_are_not_there(tiny_bundle: Path, tmp_path: Path) -> None:
    result = toolkit("verify", tiny_bundle, "--against", tmp_path / "absent")
    assert (result.exit_code, result.stdout) == (5, "")
    assert str(tmp_path / "absent") in result.stderr


def test_a_graph_of_another_tool(foreign: Path, tiny_model: Path) -> None:
    asked = ("verify", foreign, "--against", tiny_model, "--variant")
    result = toolkit(*asked, "onnx/model.onnx,onnx/model_int8.onnx", "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    names = [variant["name"] for variant in document["variants"]]
    assert names == ["onnx/model.onnx", "onnx/model_int8.onnx"]
    config = foreign / "1_Pooling/config.json"
    config.write_text('{"pooling_mode_mean_tokens": true}', encoding="utf-8")
    shutil.copyfile(foreign / "config.json", foreign / MANIFEST_NAME)
    assert toolkit(*asked, "onnx/model.onnx").exit_code == 2  # a manifest makes it a bundle


def test_a_graph_that_is_not_there(foreign: Path) -> None:
    result = toolkit("verify", foreign, "--variant", "onnx/a.onnx")
    assert result.exit_code == 3
    assert result.stderr == (
        f"error: {foreign} has no graph 'onnx/a.onnx'; "
        "it has: onnx/model.onnx, onnx/model_int8.onnx\n"
    )


def test_a_bundle_without_its_manifest_does_not_pass_as_foreign(foreign: Path) -> None:
    result = toolkit("verify", foreign)
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == (
        f"error: {foreign} has no manifest.json: it is not a bundle that `toolkit build` made; "
        "to verify what another tool made, name a graph: --variant onnx/model.onnx "
        "(others: onnx/model_int8.onnx)\n"
    )


def test_without_the_library_that_reads_a_graph(
    foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minilm.verify.candidates.foreign.can_read_graph", lambda _: False)
    result = toolkit("verify", foreign, "--variant", "onnx/model.onnx")
    assert (result.exit_code, result.stdout) == (4, "")
    assert 'pip install "minilm-toolkit[build]"' in result.stderr


def test_a_bundle_with_itself(tiny_bundle: Path, tmp_path: Path) -> None:
    output = tmp_path / "changes.md"
    result = toolkit(
        "compare", tiny_bundle, tiny_bundle, "--variant", "cpu/fp32", "--markdown", output
    )
    assert result.exit_code == 0
    assert result.stderr.splitlines()[-1] == "comparing cpu/fp32"
    lines = result.stdout.splitlines()
    assert lines[0] == "tiny-bert → tiny-bert"
    assert lines[2].startswith("cpu/fp32 ")
    assert lines[2].endswith("  the same")
    assert lines[-1] == "Every file is the same."
    assert output.read_text(encoding="utf-8").startswith("## tiny-bert → tiny-bert\n")
    assert list(tmp_path.iterdir()) == [output]


def test_two_variants_of_a_bundle(tiny_bundle: Path) -> None:
    asked = ("compare", tiny_bundle, "--variants", "cpu/fp32:cpu/int8", "--threads", "1")
    result = toolkit(*asked)
    assert result.exit_code == 0
    assert "Every file is the same." not in result.stdout
    assert "\ncpu/fp32 → cpu/int8  " in result.stdout
    assert "\noperators\nvariant " in result.stdout
    document = json.loads(toolkit(*asked, "--json").stdout)
    (change,) = document["variants"]
    assert (change["before"], change["after"]) == ("cpu/fp32", "cpu/int8")
    assert change["after_bytes"] < change["before_bytes"]
    markdown = toolkit(*asked, "--markdown", "-").stdout
    assert markdown.startswith("## tiny-bert → tiny-bert\n")
    assert "| cpu/fp32 → cpu/int8 |" in markdown


def test_what_only_one_bundle_has(tiny_bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_bundle, other)
    data = json.loads((other / MANIFEST_NAME).read_text(encoding="utf-8"))
    unlisted = {path for variant in data["variants"][1:] for path in variant["files"]}
    unlisted = unlisted - {*data["variants"][0]["files"]} | {"golden.npz"}
    for path in unlisted:
        (other / path).unlink()
    data["variants"] = data["variants"][:1]
    data["files"] = [entry for entry in data["files"] if entry["path"] not in unlisted]
    (other / MANIFEST_NAME).write_text(json.dumps(data), encoding="utf-8")
    result = toolkit("compare", other, tiny_bundle)
    assert result.exit_code == 0
    assert "unknown → 1.000000" in result.stdout
    table = [line.split("  ")[0] for line in result.stdout.partition("\nfiles\n")[2].splitlines()]
    assert {*table} >= unlisted
    assert "note: cpu/int8 is only in tiny-bert\n" in result.stderr


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "B: give another bundle, or two variants of this one"),
        (("--variants", "cpu/fp32"), "B: give another bundle"),
        (
            ("other", "--variant", "cpu/fp32:cpu/int4"),
            "no variant 'cpu/int4' (did you mean 'cpu/int8'?); known: ",
        ),
        (("other", "--variant", "cpu/fp32:"), "no variant ''; known: cpu/fp32, "),
        (("other", "--markdown", "-", "--json"), "standard output has JSON already"),
        (("other", "--markdown", "."), ". is a directory"),
        (("other", "--markdown", "absent/file.md"), "there is no directory absent"),
    ],
)
def test_what_compare_cannot_do_is_found_first(
    arguments: tuple[str, ...], message: str, tiny_bundle: Path
) -> None:
    result = toolkit("compare", tiny_bundle, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


@pytest.mark.usefixtures("no_work")
def test_markdown_where_nobody_may_write(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minilm.runtime.files.os.access", lambda _, mode: mode != os.W_OK)
    result = toolkit("compare", tiny_bundle, "other", "--markdown", tmp_path / "changes.md")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{tmp_path} is not writable" in result.stderr


@pytest.mark.parametrize("swapped", [False, True])
def test_compare_with_no_bundle(swapped: bool, tiny_bundle: Path, tmp_path: Path) -> None:
    pair = (tiny_bundle, tmp_path / "absent")
    result = toolkit("compare", *(reversed(pair) if swapped else pair))
    assert (result.exit_code, result.stdout) == (3, "")
    assert f"error: no bundle at {tmp_path / 'absent'}" in result.stderr
