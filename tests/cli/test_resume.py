"""`toolkit embed` over files of any size: killed, gone on with, in constant memory."""

import json
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from minilm.bulk import checkpoint as module
from minilm.bulk.writers import WRITERS
from typer.testing import Result

from tests.support.cli import toolkit

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no process can be killed there")


@pytest.fixture(autouse=True)
def always_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHECKPOINT_EVERY_SECONDS", 0)


_EMBED = """
import sys
from minilm.bulk import checkpoint
from minilm.cli import main
checkpoint._CHECKPOINT_EVERY_SECONDS = 0
sys.exit(main(["embed", *sys.argv[1:]]))
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten blocks of texts, some of them over the tiny model's limit."""
    path = tmp_path_factory.mktemp("source") / "texts.jsonl"
    texts = (f"text number {n} " + "of some words " * (n % 30) for n in range(10_000))
    path.write_text("".join(json.dumps({"body": text}) + "\n\n" for text in texts))
    return path


def rows_in(note: Path) -> int:
    return int(json.loads(note.read_text())["rows"]) if note.exists() else 0


def killed_again_and_again(command: list[str], output: Path) -> Iterator[int]:
    """Start `command` until it ends by itself; kill each once it has more rows than the last."""
    note = output.with_name(f"{output.name}.part.json")
    rng = random.Random(4)
    while True:
        before = rows_in(note)
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            while rows_in(note) <= before and process.poll() is None:
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.06))
            process.kill()
            _, said = process.communicate()
        assert process.returncode in {0, -signal.SIGKILL}, said
        if output.exists():  # it may still have been killed, with nothing left to do
            return
        yield rows_in(note)


@pytest.mark.parametrize("suffix", list(WRITERS))
def test_embed_survives_kill(suffix: str, source: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    output, whole = tmp_path / f"vectors{suffix}", tmp_path / f"whole{suffix}"
    variant = ("-b", str(tiny_bundle), "--target", "cpu", "--precision", "fp32", "--threads", "2")
    command = [sys.executable, "-c", _EMBED, "-i", str(source), "--field", "body", *variant]
    subprocess.run([*command, "-o", str(whole)], check=True, capture_output=True, timeout=120)
    safe = list(killed_again_and_again([*command, "-o", str(output), "--resume"], output))
    assert len(safe) >= 3
    assert safe == sorted(safe)
    assert output.read_bytes() == whole.read_bytes()
    assert sorted(tmp_path.iterdir()) == [output, whole]


def test_embed_ended_by_a_signal_says_what_is_safe(
    source: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    output, whole = tmp_path / "vectors.npy", tmp_path / "whole.npy"
    variant = ("-b", str(tiny_bundle), "--target", "cpu", "--precision", "fp32", "--threads", "2")
    command = [sys.executable, "-c", _EMBED, "-i", str(source), "--field", "body", *variant]
    subprocess.run([*command, "-o", str(whole)], check=True, capture_output=True, timeout=120)
    note = output.with_name(f"{output.name}.part.json")
    with subprocess.Popen([*command, "-o", output], stderr=subprocess.PIPE, text=True) as process:
        while rows_in(note) == 0 and process.poll() is None:
            time.sleep(0.002)
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    safe = rows_in(note)
    assert said == (
        f"note: {safe} rows are safe in {output}.part: go on with --resume\n"
        "error: ended by SIGTERM\n"
    )
    resumed = [*command, "-o", str(output), "--resume"]
    subprocess.run(resumed, check=True, capture_output=True, timeout=120)
    assert output.read_bytes() == whole.read_bytes()
    assert sorted(tmp_path.iterdir()) == [output, whole]


_PEAK = """
import resource, sys
from minilm.cli import main
code = main(["embed", *sys.argv[1:]])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
sys.exit(code)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
@pytest.mark.parametrize("suffix", list(WRITERS))
def test_memory_does_not_grow_with_the_file(suffix: str, tiny_bundle: Path, tmp_path: Path) -> None:
    peaks = []
    for blocks in (16, 80):  # the first fill a row group
        source = tmp_path / f"{blocks}.txt"
        source.write_text("".join(f"text {number}\n" for number in range(1024 * blocks)))
        output = tmp_path / f"{blocks}{suffix}"
        command = [sys.executable, "-c", _PEAK, "-i", str(source), "-o", str(output)]
        options = ["-b", str(tiny_bundle), "--target", "cpu", "--precision", "fp32"]
        done = subprocess.run([*command, *options], capture_output=True, check=True, timeout=120)
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 15e6


def embed(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    return toolkit("embed", *arguments, stdin=stdin)


def test_embed_goes_on_from_standard_input_and_counts_what_was_cut(
    source: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    lines = source.read_bytes().splitlines(keepends=True)
    texts = b"".join(lines[:6000])
    bad = texts + b"no JSON\n"
    output, whole = tmp_path / "vectors.npy", tmp_path / "whole.npy"
    options = ("-i", "-", "--field", "body", "-b", tiny_bundle, "--target", "cpu", "-o")
    complete = embed(*options, whole, stdin=texts)
    assert complete.exit_code == 0
    broken = embed(*options, output, stdin=bad)
    assert broken.exit_code == 2
    assert f"note: 2048 rows are safe in {output}.part: go on with --resume" in broken.stderr
    assert "standard input, line 6001: not JSON" in broken.stderr
    refused = embed(*options, output, stdin=texts)
    assert refused.exit_code == 2
    assert "holds 2048 rows of a run that did not finish" in refused.stderr.replace("\n", " ")
    again = embed(*options, output, "--resume", stdin=texts)
    assert again.exit_code == 0
    first, last = again.stderr.splitlines()
    assert first == "note: 2048 rows were there already"
    assert last == complete.stderr.strip()
    assert output.read_bytes() == whole.read_bytes()


def test_embed_refuses_other_vectors(source: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    output = tmp_path / "vectors.npy"
    lines = source.read_bytes().splitlines(keepends=True)
    texts = b"".join(lines[:3000])
    common = ("-i", "-", "--field", "body", "-b", tiny_bundle, "-o", output, "--target", "cpu")
    assert embed(*common, "--precision", "fp32", stdin=texts + b"no JSON\n").exit_code == 2
    other = embed(*common, "--precision", "int8", "--resume", stdin=texts)
    assert other.exit_code == 2
    said = " ".join(other.stderr.split())
    assert "was begun with variant cpu/fp32, and now it is cpu/int8" in said
    means = embed(*common, "--precision", "fp32", "--on-long", "mean", "--resume", stdin=texts)
    assert "was begun with on-long truncate, and now it is mean" in " ".join(means.stderr.split())
    assert not output.exists()


def test_positions_count_from_the_first_text_of_the_input(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    output = tmp_path / "vectors.npy"
    options = ("-b", tiny_bundle, "--target", "cpu", "--on-long", "error", "-i", "-", "-o", output)
    texts = b"short\n" * 1500 + b"word " * 200
    for resume in ((), ("--resume",)):
        result = embed(*options, *resume, stdin=texts)
        assert result.exit_code == 2
        assert re.search(r"^error: texts\[1500\] has \d+ tokens", result.stderr, re.MULTILINE)
        assert "note: 1024 rows are safe" in result.stderr
