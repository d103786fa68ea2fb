"""A bundle appears whole or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest
from minilm.pipeline.staging import staged
from minilm.runtime.errors import BuildFailed


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
    with pytest.raises(BuildFailed, match="is a file: give a new directory") as caught:
        make(output)
    assert caught.value.exit_code == 6
    assert output.read_text("utf-8") == "mine"


def test_other_files_are_refused_without_force(tmp_path: Path) -> None:
    output = tmp_path / "home"
    output.mkdir()
    (output / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(BuildFailed, match=r"with other files and no manifest\.json"):
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


def test_what_a_killed_build_left_goes(tmp_path: Path) -> None:
    (tmp_path / ".bundle.new-dead").mkdir()
    (tmp_path / ".bundle.old-1").mkdir()
    make(tmp_path / "bundle")
    assert names(tmp_path) == ["bundle"]
