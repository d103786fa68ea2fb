"""The files beside an unfinished output: locked, no link followed, reads bounded."""

import os
import stat
from pathlib import Path
from typing import IO, Final

from minilm.runtime.errors import UsageError

__all__ = ["RESUME", "open_locked", "read_note", "release_name", "write_note"]

RESUME: Final = "--resume"
_NOTE_BYTES: Final = 1 << 20
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_BINARY: Final = getattr(os, "O_BINARY", 0)


def open_locked(part: Path) -> IO[bytes]:
    """Open and lock a file that only this process may write; make it if there is none.

    Raises:
        UsageError: another process has it, or it is a link or a special file.
    """
    while True:
        stream = _open(part)
        locked = _lock(stream)
        # The lock's last holder may have renamed or removed this very file since it was opened.
        if locked and _is_at(stream, part):
            return stream
        stream.close()
        if not locked:
            raise UsageError(
                f"another process is writing {part}: wait for it, or choose another name",
                option=RESUME,
            )


def release_name(part: Path, note: Path) -> None:
    """Remove the note of a part that was renamed, unless another process has begun a new one."""
    try:
        stream = part.open("x+b")
    except FileExistsError:
        return  # the note is that process's to remove
    with stream:
        _lock(stream)
        note.unlink(missing_ok=True)
        part.unlink()


def read_note(note: Path) -> bytes:
    """Content of a small regular file.

    Raises:
        ValueError: another kind of file, or too long.
    """
    descriptor = os.open(note, os.O_RDONLY | _NO_FOLLOW | _BINARY)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a regular file")
        data = stream.read(_NOTE_BYTES + 1)
    if len(data) > _NOTE_BYTES:
        raise ValueError(f"over {_NOTE_BYTES} bytes")
    return data


def write_note(note: Path, text: str) -> None:
    """Replace a small file; its content is on disk before its name."""
    new = note.with_name(f"{note.name}.new")
    new.unlink(missing_ok=True)  # a dead run's, or a planted link
    try:
        with new.open("xb") as stream:
            stream.write(text.encode("utf-8"))
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(note)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _open(part: Path) -> IO[bytes]:
    try:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | _NO_FOLLOW | _BINARY, 0o666)
    except OSError as error:
        if part.is_symlink() or part.is_dir():
            raise _foreign(part) from error
        raise
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise _foreign(part)
    return os.fdopen(descriptor, "r+b")


def _foreign(part: Path) -> UsageError:
    return UsageError(
        f"{part} is not a file that an earlier run left: remove it, or choose another name",
        option="--output",
    )


def _lock(stream: IO[bytes]) -> bool:
    try:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):  # Windows, or a file system without locks
        return True
    return True


def _is_at(stream: IO[bytes], part: Path) -> bool:
    if os.name == "nt":  # where no open file can be renamed or removed
        return True
    try:
        return os.path.samestat(os.fstat(stream.fileno()), part.lstat())
    except FileNotFoundError:
        return False
