"""The files beside an unfinished output: links, altered bytes, two runs at once, a full disk."""

import errno
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minilm.bulk import checkpoint, part_file
from minilm.bulk.records import Record
from minilm.bulk.sinks import open_output
from minilm.bulk.writers import WRITERS
from minilm.runtime import EncodeReport
from minilm.runtime.errors import UsageError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no links or pipes")

ROWS = 6


@pytest.fixture(autouse=True)
def always_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "_CHECKPOINT_EVERY_SECONDS", 0)


@pytest.fixture(params=list(WRITERS))
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"vectors{request.param}"


def run(output: Path, *, resume: bool | None = None, stop: int | None = None) -> None:
    with open_output(output, 2, resume=resume) as sink:
        for record in list(sink.rest(Record(f"text {n}") for n in range(ROWS))):
            if sink.rows == stop:
                raise KeyboardInterrupt
            block = np.full((1, 2), sink.rows, np.float32)
            sink.add([record], block, EncodeReport(texts=1))


def stopped(output: Path) -> Path:
    with pytest.raises(KeyboardInterrupt):
        run(output, stop=4)
    return output.with_name(f"{output.name}.part")


@pytest.fixture
def expected(output: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    whole = tmp_path_factory.mktemp("whole") / output.name
    run(whole)
    return whole.read_bytes()


def test_an_altered_part_is_not_taken_over(output: Path, expected: bytes) -> None:
    part = stopped(output)
    data = bytearray(part.read_bytes())
    data[-3] ^= 1  # in the last row, at equal length
    part.write_bytes(data)
    with pytest.raises(UsageError, match=r"\.part was altered since a run left it, .* start over"):
        run(output, resume=True)
    assert part.read_bytes() == data
    run(output, resume=False)
    assert output.read_bytes() == expected


def test_rows_behind_the_checkpoint_are_cut_off(output: Path, expected: bytes) -> None:
    part = stopped(output)
    with part.open("ab") as stream:
        stream.write(b"torn")
    run(output, resume=True)
    assert output.read_bytes() == expected


@pytest.mark.parametrize("resume", [None, True, False])
def test_a_planted_link_is_not_written_through(output: Path, *, resume: bool | None) -> None:
    victim = output.with_name("victim")
    victim.write_text("precious")
    part = output.with_name(f"{output.name}.part")
    for plant in (part.symlink_to, part.hardlink_to):
        plant(victim)
        with pytest.raises(UsageError, match=r"\.part is not a file that an earlier run left"):
            run(output, resume=resume)
        assert victim.read_text() == "precious"
        part.unlink()


def test_a_planted_link_to_nothing_makes_no_file(output: Path) -> None:
    output.with_name(f"{output.name}.part").symlink_to(output.with_name("victim"))
    with pytest.raises(UsageError, match=r"\.part is not a file that an earlier run left"):
        run(output)
    assert not output.with_name("victim").exists()


@pytest.mark.parametrize("suffix", [".part.json.new", ".part.whole"])
def test_a_link_at_a_temporary_name_is_replaced(output: Path, expected: bytes, suffix: str) -> None:
    victim = output.with_name("victim")
    victim.write_text("precious")
    planted = output.with_name(f"{output.name}{suffix}")
    planted.symlink_to(victim)
    run(output)
    assert victim.read_text() == "precious"
    assert output.read_bytes() == expected


@pytest.mark.parametrize("name", ["part", "note"])
def test_a_pipe_in_place_of_a_file_does_not_hang(output: Path, name: str) -> None:
    part = stopped(output)
    path = part if name == "part" else part.with_name(f"{part.name}.json")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UsageError, match=r"not a file that an earlier|cannot be understood"):
        run(output, resume=True)


def test_an_endless_note_is_not_read_to_its_end(output: Path) -> None:
    note = output.with_name(f"{stopped(output).name}.json")
    note.write_text(json.dumps({"x": "y" * (2 << 20)}))
    with pytest.raises(UsageError, match=r"cannot be understood \(over 1048576 bytes\)"):
        run(output, resume=True)
    note.write_text("[" * 100_000)
    with pytest.raises(UsageError, match="cannot be understood"):
        run(output, resume=True)


@pytest.mark.parametrize("second", ["begins", "stops", "ends"])
def test_a_second_run_behind_the_rename_of_the_first(
    output: Path, expected: bytes, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of the part is free then, and the note still stands."""
    left: list[Any] = []

    def another() -> None:
        if output.suffix == ".parquet":  # whose part is there until the end, and locked
            with pytest.raises(UsageError, match="another process is writing"):
                run(output)
        elif second == "begins":
            left.append(part_file.open_locked(output.with_name(f"{output.name}.part")))
        elif second == "stops":
            stopped(output)
        else:
            run(output)

    replace = Path.replace

    def replace_then(source: Path, target: Path) -> Path:
        result = replace(source, target)
        if target == output and not left:
            left.append(None)
            another()
        return result

    monkeypatch.setattr(Path, "replace", replace_then)
    run(output)
    monkeypatch.undo()
    for stream in left[1:]:
        stream.close()
    assert output.read_bytes() == expected
    if second == "stops" and output.suffix != ".parquet":  # the rows of the second are still safe
        monkeypatch.setattr(checkpoint, "_CHECKPOINT_EVERY_SECONDS", 0)
        run(output, resume=True)
        assert output.read_bytes() == expected


def test_a_second_run_before_the_lock_of_the_first_is_seen(
    output: Path, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part was renamed by another run between opening and locking it: it is not ours."""
    lock = part_file._lock
    monkeypatch.setattr(part_file, "_lock", lambda stream: finished(lock, stream))
    part = output.with_name(f"{output.name}.part")
    done: list[bytes] = []

    def finished(lock: Any, stream: Any) -> Any:
        if not done:
            done.append(b"")
            part.replace(output)
        return lock(stream)

    run(output)
    assert output.read_bytes() == expected


def test_parquet_leaves_nothing_beside_the_part_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "vectors.parquet"
    fsync = os.fsync

    def full_for_the_whole(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().suffix == ".whole":
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full_for_the_whole)
    with pytest.raises(OSError, match="No space left") as failure:
        run(output)
    assert failure.value.filename == str(output)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"vectors.parquet.part", "vectors.parquet.part.json"}
    monkeypatch.undo()
    run(output, resume=True)
    assert list(tmp_path.iterdir()) == [output]


def test_a_note_that_cannot_be_written_leaves_no_other(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, _: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        run(output)
    assert list(output.parent.iterdir()) == []
