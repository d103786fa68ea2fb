"""Runs that are stopped, at any point, and gone on with: no row is lost, none is there twice."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from minilm.bulk import checkpoint as module
from minilm.bulk.checkpoint import ResumableOutput, resumable_output
from minilm.bulk.records import Record
from minilm.bulk.writers import WRITERS
from minilm.runtime import EncodeReport
from minilm.runtime.errors import UsageError

RECIPE = {"variant": "cpu/int8", "on-long": "truncate"}
TEXTS = [f"text {number}" for number in range(10)]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no process can be killed there")


@pytest.fixture(autouse=True)
def always_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHECKPOINT_EVERY_SECONDS", 0)


def add(rows: ResumableOutput, stop_at: int | None = None, texts: list[str] = TEXTS) -> None:
    """Rows for the texts that have none, two at a time, as an encoder would give them."""
    report = EncodeReport()
    rest = list(rows.rest(map(Record, texts)))
    for start in range(0, len(rest), 2):
        if rows.rows == stop_at:
            raise KeyboardInterrupt
        block = rest[start : start + 2]
        numbers = [(len(record.text), int(record.text.split()[1]), 0.5) for record in block]
        vectors = np.array(numbers, np.float32)
        report += EncodeReport(texts=len(block), texts_cut=1, tokens_cut=3)
        rows.add(block, vectors, report)


def run(
    output: Path,
    *,
    resume: bool | None = None,
    stop_at: int | None = None,
    texts: list[str] = TEXTS,
    **recipe: str,
) -> EncodeReport:
    form = WRITERS[output.suffix](3)
    settings = {**RECIPE, **recipe}
    with resumable_output(output, form, settings, resume=resume, on_note=print) as rows:
        add(rows, stop_at, texts)
    return rows.report


def stopped(output: Path, stop_at: int = 4) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(output, stop_at=stop_at)


@pytest.fixture(params=list(WRITERS))
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"vectors{request.param}"


@pytest.fixture
def expected(output: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    whole = tmp_path_factory.mktemp("whole") / output.name
    run(whole)
    return whole.read_bytes()


def test_a_stopped_run_is_gone_on_with(
    output: Path, expected: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped(output)
    assert not output.exists()
    part = f"{output}.part"
    assert capsys.readouterr().out == f"4 rows are safe in {part}: go on with --resume\n"
    report = run(output, resume=True)
    assert output.read_bytes() == expected
    assert report == EncodeReport(texts=10, texts_cut=5, tokens_cut=15)
    assert list(output.parent.iterdir()) == [output]


def test_resume_begins_if_nothing_is_left(output: Path, expected: bytes) -> None:
    run(output, resume=True)
    assert output.read_bytes() == expected


def test_what_is_left_is_not_touched_unasked(output: Path, expected: bytes) -> None:
    stopped(output)
    message = (
        f"{output}.part holds 4 rows of a run that did not finish: go on with --resume, or start "
        "over with --no-resume"
    )
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        run(output)
    run(output, resume=True)
    assert output.read_bytes() == expected


def test_no_resume_starts_over(output: Path, expected: bytes) -> None:
    stopped(output)
    run(output, resume=False, texts=TEXTS[::-1])
    assert output.read_bytes() != expected
    assert list(output.parent.iterdir()) == [output]


def test_another_variant_is_refused(output: Path, expected: bytes) -> None:
    stopped(output)
    message = (
        f"{output}.part was begun with variant cpu/int8, and now it is openvino/int8: choose as "
        "before, or start over with --no-resume"
    )
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        run(output, resume=True, variant="openvino/int8")
    run(output, resume=True)
    assert output.read_bytes() == expected


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["other 0", *TEXTS[1:]], "the first 4 texts of the input are others now"),
        (["text 0text", "1", *TEXTS[2:]], "the first 4 texts of the input are others now"),
        (TEXTS[:3], "the input has 3 texts"),
        ([], "the input has 0 texts"),
    ],
)
def test_a_changed_input_is_refused(
    output: Path, expected: bytes, texts: list[str], found: str
) -> None:
    stopped(output)
    message = f"{output}.part has the rows of 4 texts, and {found}"
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        run(output, resume=True, texts=texts)
    run(output, resume=True)
    assert output.read_bytes() == expected


def test_texts_without_rows_may_change(output: Path) -> None:
    more = [*TEXTS[:6], *(f"more {number}" for number in range(20))]
    stopped(output)
    run(output, resume=True, texts=more)
    whole = output.with_name(f"whole{output.suffix}")
    run(whole, texts=more)
    assert output.read_bytes() == whole.read_bytes()


def test_a_note_that_cannot_be_true(output: Path) -> None:
    stopped(output)
    part = Path(f"{output}.part")
    size = json.loads(Path(f"{part}.json").read_text())["bytes"]
    os.truncate(part, size - 1)
    message = f"{part} has {size - 1} bytes, {part.name}.json says {size}: start over with --no-r"
    with pytest.raises(UsageError, match=f"^{re.escape(message)}"):
        run(output, resume=True)
    Path(f"{part}.json").write_text("[]")
    with pytest.raises(UsageError, match=r"part\.json cannot be understood"):
        run(output, resume=True)
    run(output, resume=False)


@pytest.mark.parametrize(
    ("field", "value"),
    [("bytes", "9"), ("rows", 1.5), ("rows", -1), ("recipe", []), ("report", {"texts": "9"})],
)
def test_a_note_with_values_of_another_kind(field: str, value: object, output: Path) -> None:
    stopped(output)
    note = Path(f"{output}.part.json")
    note.write_text(json.dumps(json.loads(note.read_text()) | {field: value}))
    with pytest.raises(UsageError, match=rf"part\.json cannot be understood \({field}"):
        run(output, resume=True)


def test_a_part_without_a_note_holds_nothing(output: Path, expected: bytes) -> None:
    Path(f"{output}.part").write_bytes(b"torn")
    run(output)
    assert output.read_bytes() == expected


def test_a_note_without_its_part_says_nothing(output: Path, expected: bytes) -> None:
    stopped(output)
    Path(f"{output}.part").unlink()
    run(output)
    assert output.read_bytes() == expected
    assert list(output.parent.iterdir()) == [output]


def test_two_processes_do_not_write_the_same(output: Path, expected: bytes) -> None:
    form = WRITERS[output.suffix](3)
    with resumable_output(output, form, RECIPE, resume=None) as rows:
        for resume in (None, True, False):
            with pytest.raises(UsageError, match=r"^another process is writing .*\.part: "):
                run(output, resume=resume)
        add(rows)
    assert output.read_bytes() == expected


# Forks one child for each point at which a run may die, kills it there, goes on with what it left
# (once more to its death, then to its end), and compares.
_EVERY_POINT = """
import os, signal, sys
from pathlib import Path
from tests.bulk import test_checkpoint as tests
from minilm.bulk import checkpoint as module
from minilm.bulk.records import Record
from minilm.bulk.writers import WRITERS
module._CHECKPOINT_EVERY_SECONDS = 0
output = Path(sys.argv[1])
expected = Path(sys.argv[2]).read_bytes()
part = Path(f"{output}.part")
WRITERS[output.suffix](3)  # imports what every child needs

def die_at(point):
    left = point
    def here(before_half=b""):
        nonlocal left
        left -= 1
        if left == 0:
            if before_half:
                with part.open("ab") as stream: stream.write(before_half)
            os.kill(os.getpid(), signal.SIGKILL)
    def both(function):
        def wrapped(*a, **k):
            here()
            result = function(*a, **k)
            here()
            return result
        return wrapped
    for name in ("fsync", "replace", "rename", "unlink", "ftruncate"):
        setattr(os, name, both(getattr(os, name)))
    kind = type(WRITERS[output.suffix](3))
    def torn(self, records, block, rows=kind.rows):
        data = rows(self, records, block)
        here(data[: len(data) // 2])
        return data
    kind.rows = torn

def attempt(point):
    child = os.fork()
    if child == 0:
        try:
            if point: die_at(point)
            tests.run(output, resume=True)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

for second in (0, 5):
    point = died = 0
    while True:
        point += 1
        first = attempt(point)
        assert first in (0, -signal.SIGKILL), (point, first)
        died += first != 0
        if second: attempt(second)
        assert attempt(0) == 0, point
        assert output.read_bytes() == expected, point
        assert [path.name for path in output.parent.iterdir()] == [output.name], point
        output.unlink()
        if first == 0: break
print(died)
"""


def test_death_at_every_point(output: Path, expected: bytes, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.write_bytes(expected)
    empty = tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _EVERY_POINT, str(empty / output.name), str(whole)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 25
