"""Files that appear whole or not at all, and are never written through a planted link."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minilm.runtime.errors import UsageError

__all__ = ["check_output_file", "write_atomically"]


def check_output_file(path: Path, option: str) -> None:
    """Find out before the work starts whether a file can be written.

    Args:
        path: name of the file.
        option: command-line option that it came from, for the error.

    Raises:
        UsageError: a directory or a special file stands there, or its folder is missing or cannot
            be written.
    """
    problem = None
    if path.is_dir():
        problem = f"{path} is a directory"
    elif path.exists() and not path.is_file():
        problem = f"{path} is a device or a pipe: give the name of a file"
    elif not path.parent.is_dir():
        problem = f"{path}: there is no directory {path.parent}"
    elif not os.access(path.parent, os.W_OK):
        problem = f"{path}: {path.parent} is not writable"
    if problem is not None:
        raise UsageError(problem, option=option)


def write_atomically(path: Path, data: bytes | str, *, sync: bool = False) -> None:
    """Write a file beside `path` and rename it into place.

    The file beside it is created exclusively: a link or a file that stands there is not followed.

    Args:
        path: name of the finished file; a file or a link of that name is replaced.
        data: whole content; text is written as UTF-8.
        sync: wait until the content is on disk before the file is renamed.

    Raises:
        OSError: the file cannot be written; its `filename` is `path`.
    """
    content = data.encode("utf-8") if isinstance(data, str) else data
    part = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    try:
        with part.open("xb") as stream, _removed_on_error(part):
            stream.write(content)
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
            if os.name == "nt":  # where no open file can be renamed
                stream.close()
            part.replace(path)
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


@contextmanager
def _removed_on_error(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise
