"""A bundle appears whole or not at all."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from minilm.pipeline.exchange import exchange
from minilm.pipeline.staging import staged
from minilm.runtime.errors import BuildFailed, UsageError


def make(output: Path, content: str = "new") -> None:
    with staged(output) as work:
        (work / "manifest.json").write_text(content, encoding="utf-8")


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if not path.name.endswith(".lock"))


def test_new_and_again(tmp_path: Path) -> None:
    output = tmp_path / "deep" / "bundle"
    make(output, "one")
    make(output, "two")
    assert (output / "manifest.json").read_text("utf-8") == "two"
    assert names(output.parent) == ["bundle"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failure_keeps_what_stood_there(tmp_path: Path, error: type[BaseException]) -> None:
    output = tmp_path / "bundle"
    make(output, "old")

    def fail() -> None:
        with staged(output) as work:
            (work / "manifest.json").write_text("half", encoding="utf-8")
            raise error

    with pytest.raises(error):
        fail()
    assert (output / "manifest.json").read_text("utf-8") == "old"
    assert names(tmp_path) == ["bundle"]


def test_file_is_refused(tmp_path: Path) -> None:
    output = tmp_path / "bundle"
    output.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="is a file: give a new directory") as caught:
        make(output)
    assert caught.value.exit_code == 2
    assert output.read_text("utf-8") == "mine"


def test_other_files_are_refused_without_force(tmp_path: Path) -> None:
    output = tmp_path / "home"
    output.mkdir()
    (output / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(UsageError, match=r"with other files and no manifest\.json"):
        make(output)
    assert names(output) == ["letter.txt"]
    with staged(output, force=True) as work:
        (work / "manifest.json").touch()
    assert names(output) == ["manifest.json"]


def test_unwritable_parent(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BuildFailed, match=r"cannot be written: File exists; choose another"):
        make(tmp_path / "file" / "bundle")


def test_in_use(tmp_path: Path) -> None:
    output = tmp_path / "bundle"
    code = (
        "import sys; from pathlib import Path; from minilm.pipeline.staging import staged\n"
        "with staged(Path(sys.argv[1])) as work:\n"
        "    (work / 'manifest.json').touch(); print('held', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(output)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BuildFailed, match=r"is in use: another build is writing it"):
            make(output)
        holder.communicate("")
    assert holder.returncode == 0
    assert names(output) == ["manifest.json"]


def test_leftovers_of_a_killed_build_go(tmp_path: Path) -> None:
    make(tmp_path / "bundle", "one")
    (tmp_path / ".bundle.new-dead").mkdir()
    (tmp_path / ".bundle.old-1").mkdir()
    make(tmp_path / "bundle", "two")
    assert names(tmp_path) == ["bundle"]


def test_bundle_without_its_name_is_restored(tmp_path: Path) -> None:
    """As a build leaves it that was killed between its two renames."""
    output = tmp_path / "bundle"
    for number, age_seconds in ((1, 100), (2, 0)):
        make(output, f"build {number}")
        old = output.rename(tmp_path / f".bundle.old-{number}")
        os.utime(old, (time.time() - age_seconds,) * 2)
    (tmp_path / ".bundle.new-dead").mkdir()
    with pytest.raises(ValueError, match="stop"), staged(output):
        raise ValueError("stop")
    assert (output / "manifest.json").read_text("utf-8") == "build 2"
    assert names(tmp_path) == ["bundle"]


def test_last_copy_is_not_deleted_beside_other_files(tmp_path: Path) -> None:
    output = tmp_path / "bundle"
    make(output, "old")
    output.rename(tmp_path / ".bundle.old-1")
    output.mkdir()
    (output / "letter.txt").touch()
    with pytest.raises(ValueError, match="stop"), staged(output, force=True):
        raise ValueError("stop")
    assert names(tmp_path) == [".bundle.old-1", "bundle"]


FILE_EVENTS = frozenset(
    {"open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.scandir", "ctypes.dlsym"}
)


def killed_at(moment: int, output: Path) -> bool:
    """Replace a bundle in a child that is killed before its file operation number `moment`.

    Returns:
        Whether it was; False if it ended before.
    """
    child = os.fork()
    if child == 0:
        left = moment

        def count(event: str, _: object) -> None:
            nonlocal left
            if event in FILE_EVENTS:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            with staged(output) as work:
                (work / "data").write_text("new", encoding="utf-8")
                (work / "manifest.json").write_text("new", encoding="utf-8")
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("atomic", [True, False])
def test_kill_at_any_file_operation_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, atomic: bool
) -> None:
    if not atomic:
        monkeypatch.setattr("minilm.pipeline.staging.exchange", lambda *_: False)
    found = list[str]()
    for moment in itertools.count(1):
        output = tmp_path / str(moment) / "bundle"
        output.mkdir(parents=True)
        for name in ("data", "manifest.json"):
            (output / name).write_text("old", encoding="utf-8")
        killed = killed_at(moment, output)
        if atomic:
            assert names(output) == ["data", "manifest.json"]
        # The next build fails: what stood there must not go with it.
        with pytest.raises(ValueError, match="stop"), staged(output):
            raise ValueError("stop")
        assert names(output.parent) == ["bundle"]
        contents = {(output / name).read_text("utf-8") for name in ("data", "manifest.json")}
        assert len(contents) == 1
        found += contents
        if not killed:
            break
    assert found == sorted(found, reverse=True)  # the old one up to some moment, then the new one
    assert set(found) == {"old", "new"}
    assert len(found) > 10


@pytest.mark.skipif(sys.platform != "linux", reason="systems differ in what they can exchange")
def test_exchange(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert exchange(tmp_path / "a", tmp_path / "b")
    assert (names(tmp_path / "a"), names(tmp_path / "b")) == (["b"], ["a"])
    assert not exchange(tmp_path / "a", tmp_path / "missing")
    assert names(tmp_path / "a") == ["b"]


def test_exchange_where_the_system_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no such library")

    monkeypatch.setattr("ctypes.CDLL", fail)
    output = tmp_path / "bundle"
    make(output, "one")
    make(output, "two")
    assert (output / "manifest.json").read_text("utf-8") == "two"
    assert names(tmp_path) == ["bundle"]
