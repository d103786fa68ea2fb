"""Files that appear whole or not at all, and are never written through a planted link."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["write_atomically"]


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
