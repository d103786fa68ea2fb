"""Files that appear whole or not at all."""

import os
from pathlib import Path

import pytest
from minilm.runtime.files import write_atomically


@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize(("data", "content"), [("é\n", b"\xc3\xa9\n"), (b"\r\n", b"\r\n")])
def test_the_file_has_its_content_and_nothing_is_beside_it(
    tmp_path: Path, data: bytes | str, content: bytes, *, sync: bool
) -> None:
    path = tmp_path / "report.md"
    path.write_text("before")
    write_atomically(path, data, sync=sync)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_what_stood_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.md"
    path.write_text("before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as failure:
        write_atomically(path, "after", sync=True)
    assert failure.value.filename == str(path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_an_absent_folder_is_named_by_the_file_that_was_meant(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as failure:
        write_atomically(tmp_path / "absent/report.md", "")
    assert failure.value.filename == str(tmp_path / "absent/report.md")


def test_a_planted_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "urandom", lambda _: b"\0\0\0\0")
    victim = tmp_path / "victim"
    victim.write_text("precious")
    planted = tmp_path / ".report.md.00000000.part"
    planted.symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_atomically(tmp_path / "report.md", "after")
    assert victim.read_text() == "precious"
    assert planted.is_symlink()


def test_a_link_at_the_name_is_replaced_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path = tmp_path / "report.md"
    path.symlink_to(victim)
    write_atomically(path, "after")
    assert (victim.read_text(), path.read_text(), path.is_symlink()) == ("precious", "after", False)
