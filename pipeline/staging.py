"""A directory that appears whole or not at all."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from minilm.pipeline.exchange import exchange
from minilm.runtime.errors import BuildFailed, UsageError
from minilm.runtime.extras import require_extra
from minilm.runtime.manifest import MANIFEST_NAME

__all__ = ["expect_replaceable", "staged"]


@contextlib.contextmanager
def staged(destination: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary directory next to `destination`.

    On success it replaces `destination` atomically; on any error it is removed and `destination`
    is left unchanged. Wherever the process is killed, `destination` has its old content or its
    new, at the latest when the next build has begun. A lock next to it keeps a second build out;
    the system drops the lock with the process.

    Args:
        destination: Directory to make or to replace.
        force: Whether to replace a directory that is not a bundle, too.

    Raises:
        UsageError: `destination` is a file or, without `force`, a directory that is not a bundle.
        BuildFailed: it cannot be written, or another build holds the lock.
    """
    with require_extra("build", "Building a bundle"):
        from filelock import FileLock, Timeout

    expect_replaceable(destination, force=force)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(destination.parent / f".{destination.name}.lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        raise BuildFailed(
            f"output {destination} is in use: another build is writing it; wait for it, or choose "
            "another --output"
        ) from error
    except OSError as error:
        raise BuildFailed(
            f"output {destination} cannot be written: {error.strerror or error}; choose another "
            "--output"
        ) from error
    with lock:
        _recover(destination)
        work = Path(tempfile.mkdtemp(prefix=f".{destination.name}.new-", dir=destination.parent))
        work.chmod(0o755)
        try:
            yield work
            _swap(work, destination)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def expect_replaceable(destination: Path, *, force: bool = False) -> None:
    """Refuse an output that a build must not replace.

    Raises:
        UsageError: `destination` is a file or, without `force`, a directory that is not a bundle.
        BuildFailed: it is a directory that cannot be written.
    """
    if destination.is_symlink() or (destination.exists() and not destination.is_dir()):
        found = "a link" if destination.is_symlink() else "a file"
        raise UsageError(
            f"{destination} is {found}: give a new directory, or one that holds a bundle",
            option="--output",
        )
    if destination.is_dir() and any(destination.iterdir()):
        if not force and not (destination / MANIFEST_NAME).is_file():
            raise UsageError(
                f"{destination} is a directory with other files and no {MANIFEST_NAME}: a build "
                "would delete them; choose another, or add --force",
                option="--output",
            )
        if not os.access(destination, os.W_OK):
            raise BuildFailed(
                f"output {destination} cannot be written: permission denied; choose another one"
            )


def _recover(destination: Path) -> None:
    """Put things in order after a build that was killed: with the lock held, nobody else does.

    Where one directory could not be exchanged for the other, the bundle that stood at `destination`
    has another name for a moment. If that is where the build was killed, it gets its name back.
    """
    set_aside = sorted(
        destination.parent.glob(f".{destination.name}.old-*"), key=lambda path: path.stat().st_mtime
    )
    if set_aside and _is_vacant(destination):
        set_aside.pop().replace(destination)
    if (destination / MANIFEST_NAME).is_file():
        for old in set_aside:
            shutil.rmtree(old, ignore_errors=True)
    for new in destination.parent.glob(f".{destination.name}.new-*"):
        shutil.rmtree(new, ignore_errors=True)


def _is_vacant(destination: Path) -> bool:
    return not destination.exists() or not any(destination.iterdir())


def _swap(work: Path, destination: Path) -> None:
    """Let `work` take the place of `destination`; what stood there is deleted afterwards."""
    _sync(work)
    if destination.exists() and exchange(work, destination):
        shutil.rmtree(work, ignore_errors=True)
        return
    old = destination.with_name(f".{destination.name}.old-{os.getpid()}")
    if destination.exists():
        destination.replace(old)
    try:
        work.replace(destination)
    except OSError:
        if old.exists():
            old.replace(destination)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _sync(directory: Path) -> None:
    """Have the system write all files to the disk: a rename may reach it before their content."""
    for path in directory.rglob("*"):
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
