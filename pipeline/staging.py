"""A directory that appears whole or not at all."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from minilm.runtime.errors import BuildFailed
from minilm.runtime.extras import require_extra
from minilm.runtime.manifest import MANIFEST_NAME

__all__ = ["staged"]


@contextlib.contextmanager
def staged(destination: Path, *, force: bool = False) -> Iterator[Path]:
    """Give a temporary directory beside `destination`, which replaces it when the block ends well.

    However the block ends otherwise, `destination` keeps what it had and the temporary directory
    goes. With `force` a directory that is no bundle is replaced too. A lock beside it keeps a
    second build out; the system drops it with the process.

    Raises:
        BuildFailed: `destination` is a file or a directory that is no bundle, its parent cannot be
            written, or another build holds the lock.
    """
    with require_extra("build", "Building a bundle"):
        from filelock import FileLock, Timeout

    _expect_replaceable(destination, force=force)
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
        _sweep(destination)
        work = Path(tempfile.mkdtemp(prefix=f".{destination.name}.new-", dir=destination.parent))
        work.chmod(0o755)
        try:
            yield work
            _swap(work, destination)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _expect_replaceable(destination: Path, *, force: bool) -> None:
    if destination.is_symlink() or (destination.exists() and not destination.is_dir()):
        raise BuildFailed(
            f"output {destination} is a file: give a new directory or one that holds a bundle"
        )
    if destination.is_dir() and any(destination.iterdir()):
        if not force and not (destination / MANIFEST_NAME).is_file():
            raise BuildFailed(
                f"output {destination} is a directory with other files and no {MANIFEST_NAME}: a "
                "build would delete them; choose another --output, or --force it"
            )
        if not os.access(destination, os.W_OK):
            raise BuildFailed(
                f"output {destination} cannot be written: permission denied; choose another one"
            )


def _sweep(destination: Path) -> None:
    """Remove what a killed build left behind: with the lock held, nobody works in it."""
    for kind in ("new", "old"):
        for left in destination.parent.glob(f".{destination.name}.{kind}-*"):
            shutil.rmtree(left, ignore_errors=True)


def _swap(work: Path, destination: Path) -> None:
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
