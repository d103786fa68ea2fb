"""The commands on a real bundle."""

# Over 300 lines: each command once, on one bundle that all share.

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from minilm.runtime import load
from minilm.runtime.manifest import VARIANTS, read
from numpy.typing import NDArray
from typer.testing import Result

from tests.support.cli import toolkit

Vectors = NDArray[np.float32]
CPU = ("--target", "cpu", "--precision", "fp32")


@pytest.fixture(scope="session")
def two(bundle: Path) -> Vectors:
    """Vectors of "a text" and "another", float32 (2, 384), from the loader itself."""
    with load(bundle, target="cpu", precision="fp32") as encoder:
        return encoder.encode(["a text", "another"])


def vectors_of(result: Result) -> Vectors:
    rows = [json.loads(line)["embedding"] for line in result.stdout.splitlines()]
    return np.array(rows, np.float32)


def test_embed_arguments(bundle: Path, two: Vectors) -> None:
    result = toolkit("embed", "a text", "another", "--bundle", bundle, *CPU)
    assert (result.exit_code, result.stderr) == (0, "")
    np.testing.assert_allclose(vectors_of(result), two, atol=1e-6)


def test_embed_with_a_variant_by_its_name(bundle: Path, two: Vectors) -> None:
    result = toolkit("embed", "a text", "another", "-b", bundle, "--variant", "cpu/fp32")
    assert (result.exit_code, result.stderr) == (0, "")
    np.testing.assert_allclose(vectors_of(result), two, atol=1e-6)


def test_embed_finds_the_bundle_by_the_environment(
    bundle: Path,
    two: Vectors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MINILM_BUNDLE", str(bundle))
    result = toolkit("embed", "a text", "another", *CPU)
    np.testing.assert_allclose(vectors_of(result), two, atol=1e-6)


def test_embed_a_file_into_npy(bundle: Path, tmp_path: Path) -> None:
    texts = [f"text number {number} " + "word " * (number % 40) for number in range(700)]
    source, output = tmp_path / "texts.txt", tmp_path / "vectors.npy"
    source.write_text("\n".join(texts), encoding="utf-8")
    result = toolkit("embed", "--input", source, "--output", output, "-b", bundle, *CPU)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    with load(bundle, target="cpu", precision="fp32") as encoder:
        np.testing.assert_allclose(np.load(output), encoder.encode(texts), atol=1e-5)


def test_embed_standard_input_into_json_lines(bundle: Path, tmp_path: Path, two: Vectors) -> None:
    output = tmp_path / "vectors.jsonl"
    stdin = '{"body": "a text"}\n{"body": "another"}\n'
    result = toolkit(
        "embed", "-i", "-", "--field", "body", "-o", output, "-b", bundle, *CPU, stdin=stdin
    )
    assert (result.exit_code, result.stdout) == (0, "")
    rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [row["text"] for row in rows] == ["a text", "another"]
    np.testing.assert_allclose([row["embedding"] for row in rows], two, atol=1e-6)


def test_embed_of_nothing_is_an_empty_array(bundle: Path, tmp_path: Path) -> None:
    output = tmp_path / "vectors.npy"
    result = toolkit("embed", "-i", "-", "-o", output, "-b", bundle, *CPU, stdin="")
    assert result.exit_code == 0
    assert np.load(output).shape == (0, 384)


def test_embed_stops_at_a_bad_line_and_leaves_no_file(bundle: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "texts.txt", tmp_path / "vectors.npy"
    source.write_bytes(b"fine\n\xff\n")
    result = toolkit("embed", "-i", source, "-o", output, "-b", bundle, *CPU)
    assert result.exit_code == 2
    assert f"{source}, line 2: not UTF-8" in result.stderr
    assert list(tmp_path.iterdir()) == [source]


def test_embed_says_what_was_cut(bundle: Path) -> None:
    result = toolkit("embed", "word " * 300, "short", "-b", bundle, *CPU)
    assert result.exit_code == 0
    assert result.stderr == (
        "note: 1 of 2 texts were cut to what the model reads, 46 tokens are lost: see --on-long\n"
    )


def test_embed_refuses_long_texts_if_asked_to(bundle: Path) -> None:
    result = toolkit("embed", "word " * 300, "-b", bundle, "--on-long", "error", *CPU)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: texts[0] has 300 tokens, the model reads 254")


def test_embed_without_a_gpu_is_no_silent_fall_back(bundle: Path) -> None:
    result = toolkit("embed", "a text", "-b", bundle, "--target", "cuda")
    assert result.exit_code in {3, 4}  # the bundle has no such variant, or this machine cannot
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")


def test_embed_on_no_bundle(tmp_path: Path) -> None:
    result = toolkit("embed", "a text", "-b", tmp_path / "absent")
    assert result.exit_code == 3
    assert result.stderr.startswith(f"error: no bundle at {tmp_path / 'absent'}")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT cannot be sent to one process")
@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "ended by SIGTERM")],
)
def test_a_signal_leaves_what_stood_there(
    number: signal.Signals, code: int, said: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    output = tmp_path / "vectors.npy"
    output.write_text("before")
    # A child of tests that run in the background of a shell would ignore the signal.
    program = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from minilm.cli import main\n"
        "sys.exit(main())\n"
    )
    command = ["embed", "-i", "-", "-o", str(output), "-b", str(tiny_bundle), *CPU]
    with subprocess.Popen(
        [sys.executable, "-c", program, *command],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.iterdir())) == 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        _, message = process.communicate(timeout=60)
    assert (process.returncode, message.decode()) == (code, f"error: {said}\n")
    assert list(tmp_path.iterdir()) == [output]
    assert output.read_text() == "before"


def test_a_terminal_that_cannot_show_a_text(bundle: Path, tmp_path: Path) -> None:
    source = tmp_path / "texts.txt"
    source.write_text("\N{GRINNING FACE} é\n", encoding="utf-8")
    code = "import sys; from minilm.cli import main; sys.exit(main())"
    command = ["similarity", "joy", "-i", str(source), "-b", str(bundle), *CPU]
    for extra, text in (((), "\\U0001f600 \\xe9"), (("--json",), '"\\ud83d\\ude00 \\u00e9"')):
        result = subprocess.run(
            [sys.executable, "-c", code, *command, *extra],
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            check=True,
            timeout=120,
        )
        assert text in result.stdout.decode("ascii")


def test_similarity_of_two(bundle: Path, two: Vectors) -> None:
    result = toolkit("similarity", "a text", "another", "-b", bundle, *CPU)
    assert result.exit_code == 0
    assert float(result.stdout) == pytest.approx(float(two[0] @ two[1]), abs=1e-4)


def test_similarity_ranks_a_file(bundle: Path, tmp_path: Path) -> None:
    source = tmp_path / "texts.txt"
    source.write_text("stock prices fell\na kitten naps\nthe cat is asleep\na kitten naps\n")
    result = toolkit(
        "similarity", "a cat sleeps", "-i", source, "--top", "3", "--json", "-b", bundle, *CPU
    )
    assert result.exit_code == 0
    matches = json.loads(result.stdout)
    assert [match["number"] for match in matches] == [3, 2, 4]
    assert matches[0]["text"] == "the cat is asleep"
    assert matches[1]["cosine"] == pytest.approx(matches[2]["cosine"], abs=1e-5)
    table = toolkit("similarity", "a cat sleeps", "-i", source, "--top", "1", "-b", bundle, *CPU)
    assert table.stdout.splitlines()[1:3] == [
        "cosine  line  text",
        f"{matches[0]['cosine']:.4f}  3     the cat is asleep",
    ]


@pytest.mark.parametrize("extra", [(), ("another", "--input", "-")])
def test_similarity_needs_one_other(extra: tuple[str, ...]) -> None:
    result = toolkit("similarity", "a text", *extra)
    assert result.exit_code == 2
    assert "one of the two" in result.stderr


def test_inspect_fits_one_screen(bundle: Path) -> None:
    result = toolkit("inspect", bundle)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) <= 80
    assert sum(line.endswith("  taken") for line in lines) == 1


def test_inspect_shows_the_manifest(bundle: Path) -> None:
    result = toolkit("inspect", bundle, "--check", "--files", "--operators")
    assert (result.exit_code, result.stderr) == (0, "")
    manifest = read(bundle)
    for file in manifest.files:
        assert f"{file.path} " in result.stdout
        assert file.sha256 in result.stdout
    for variant in manifest.variants:
        assert result.stdout.count(f"\n{variant.name} ") == 2
    assert "every file is as the manifest says" in result.stdout


def test_inspect_json_is_the_manifest(bundle: Path) -> None:
    result = toolkit("inspect", bundle, "--json")
    assert json.loads(result.stdout) == json.loads((bundle / "manifest.json").read_text())


def test_doctor(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = toolkit("doctor", bundle)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "cores" in result.stdout
    document = json.loads(toolkit("doctor", bundle, "--json").stdout)
    names = {variant["name"] for variant in document["variants"]}
    assert names == {variant.name for variant in read(bundle).variants}
    assert all(variant["reason"] for variant in document["variants"])
    assert document["host"]["cores"] >= 1
    monkeypatch.chdir(tmp_path)
    elsewhere = toolkit("doctor")
    assert elsewhere.exit_code == 0
    assert "no bundle at" in elsewhere.stderr


def test_doctor_tells_what_is_taken_and_what_is_lacking(bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    path = copy / "manifest.json"
    data = json.loads(path.read_text("utf-8"))
    data["variants"] = [entry for entry in data["variants"] if entry["name"] != "cpu/fp32"]
    path.write_text(json.dumps(data), "utf-8")
    document = json.loads(toolkit("doctor", copy, "--json").stdout)
    with load(copy) as encoder:
        assert document["taken"] == encoder.variant.name
    assert document["variants"][-1] == {
        "name": "cpu/fp32",
        "runnable": False,
        "reason": "the bundle has no such variant",
    }
    table = toolkit("doctor", copy).stdout
    rows = dict(
        line.split("  ", 1) for line in table.partition("best first\n")[2].splitlines() if line
    )
    assert sorted(rows) == sorted(["variant", *VARIANTS])
    assert rows[document["taken"]].split()[0] == "taken"
    assert rows["cpu/fp32"].split(maxsplit=1)[1] == "the bundle has no such variant"


def test_doctor_of_a_bundle_at_fault(bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    with (copy / "onnx/model.onnx").open("ab") as stream:
        stream.write(b"x")
    result = toolkit("doctor", copy)
    assert result.exit_code == 3
    assert "variants, best first" in result.stdout
    assert result.stderr.startswith("error: onnx/model.onnx is longer than built: ")


def test_doctor_of_a_copy_of_some_files(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    for name in ("manifest.json", "tokenizer.json", "onnx/model.onnx"):
        shutil.copyfile(tiny_bundle / name, tmp_path / name)
    document = json.loads(toolkit("doctor", tmp_path, "--json").stdout)
    assert document["taken"] == "cpu/fp32"
    reasons = {each["name"]: each["reason"] for each in document["variants"]}
    assert reasons["cpu/int8"] == "this copy came without onnx/model_int8.onnx"


def test_inspect_check_names_what_is_not_in_the_manifest(tiny_bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))
    (copy / "notes.txt").write_text("mine")
    result = toolkit("inspect", copy, "--check")
    assert result.exit_code == 0
    assert "notes.txt is not in the manifest, and nothing reads it" in result.stderr
    (copy / "evil.py").write_text("1/0")
    result = toolkit("inspect", copy, "--check")
    assert result.exit_code == 3
    assert result.stderr.startswith("error: evil.py stands in ")


def test_embed_compares_what_it_is_told_to(tiny_bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))
    path = copy / "tokenizer.json"
    path.write_text(path.read_text("utf-8").replace("[MASK]", "[MOSK]"), encoding="utf-8")
    arguments = ("embed", "a", "--bundle", copy, "--target", "cpu")
    assert toolkit(*arguments).exit_code == 3
    assert toolkit(*arguments, "--verify", "sizes").exit_code == 0
    with path.open("a") as stream:
        stream.write(" ")
    assert toolkit(*arguments, "--verify", "sizes").exit_code == 3
    assert toolkit(*arguments, "--verify", "none").exit_code == 0


def test_doctor_without_any_backend(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("minilm.runtime.hardware.host._installed", lambda _: None)
    result = toolkit("doctor", bundle)
    assert result.exit_code == 0
    for extra in ("cpu", "openvino", "cuda"):
        assert f'is not installed: pip install "minilm-toolkit[{extra}]"' in result.stdout
    assert re.search(r"native encoder +\S*generic", result.stdout)
    assert json.loads(toolkit("doctor", bundle, "--json").stdout)["taken"] == "native/int8"
    monkeypatch.setattr("minilm.runtime.native.LIBRARY_PATH", tmp_path / "missing.so")
    assert re.search(r"native encoder +not compiled", toolkit("doctor", bundle).stdout)
    assert json.loads(toolkit("doctor", bundle, "--json").stdout)["taken"] is None


def test_doctor_of_a_bundle_that_is_not_there(tmp_path: Path) -> None:
    assert toolkit("doctor", tmp_path / "absent").exit_code == 3


def test_embed_imports_only_what_it_runs(bundle: Path) -> None:
    code = f"""
import sys
from minilm.cli import main
code = main(["embed", "a text", "--bundle", {str(bundle)!r}, "--target", "cpu"])
heavy = {{"torch", "rich", "openvino", "logging", "typer.rich_utils", "asyncio"}}
print("loaded:", *sorted(set(sys.modules) & heavy))
sys.exit(code)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == "loaded:"
