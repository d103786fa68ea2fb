"""Bounded reads of regular files: no pipe can hang a reader, no device can fill memory."""

import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from minilm.runtime.errors import InvalidArtifact

__all__ = ["open_regular", "read_at_most", "read_regular"]

_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a pipe without a writer opens at once, and is refused
)


def open_regular(path: Path) -> tuple[BinaryIO, int]:
    """Open a file for reading, unbuffered, if it is a regular file or a link to one.

    Returns:
        The open file, and its size in bytes.

    Raises:
        InvalidArtifact: A directory, a pipe, a device or a socket stands there.
        OSError: The file cannot be opened.
    """
    _refuse_special(path, path.stat())  # first: to open a device can have effects
    descriptor = os.open(path, _FLAGS)
    try:
        status = os.fstat(descriptor)
        _refuse_special(path, status)
        return os.fdopen(descriptor, "rb", buffering=0), status.st_size
    except BaseException:
        os.close(descriptor)
        raise


def read_at_most(stream: BinaryIO, limit_bytes: int) -> bytes:
    """Read an unbuffered file to its end, or to `limit_bytes`."""
    blocks = []
    while limit_bytes and (block := stream.read(limit_bytes)):
        blocks.append(block)
        limit_bytes -= len(block)
    return blocks[0] if len(blocks) == 1 else b"".join(blocks)


def read_regular(path: Path, limit_bytes: int) -> bytes:
    """The content of a regular file.

    Args:
        path: Name of the file.
        limit_bytes: Most bytes that the file may have.

    Raises:
        InvalidArtifact: It is no regular file, or has more bytes than the limit.
        OSError: The file cannot be read.
    """
    stream, size = open_regular(path)
    with stream:
        if size > limit_bytes:
            raise InvalidArtifact(f"{path} has {size} bytes, expected at most {limit_bytes}")
        return read_at_most(stream, size)


def _refuse_special(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise InvalidArtifact(f"{path} is not a regular file: a directory, a pipe or a device")
