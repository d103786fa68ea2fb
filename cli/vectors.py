"""Where the vectors go: a .npy file, JSON lines, or a preview on the screen."""

import errno
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Block = NDArray[np.float32]
    Write = Callable[[Sequence[str], Block], None]

__all__ = ["SUFFIXES", "check_output", "open_output"]

SUFFIXES: Final = (".npy", ".jsonl")


def check_output(output: Path | None) -> Path | None:
    """`output` if something of that kind can be written there; found before the work starts.

    Raises:
        typer.BadParameter: unknown suffix, a directory, or no directory to write into.
    """
    if output is None:
        return None
    if output.suffix not in SUFFIXES:
        raise typer.BadParameter(f"{output}: the name must end in {' or '.join(SUFFIXES)}")
    if output.is_dir():
        raise typer.BadParameter(f"{output} is a directory")
    if not output.parent.is_dir():
        raise typer.BadParameter(f"{output}: there is no directory {output.parent}")
    if not os.access(output.parent, os.W_OK):
        raise typer.BadParameter(f"{output}: {output.parent} is not writable")
    return output


@contextmanager
def open_output(output: Path | None, dimension: int) -> Iterator["Write"]:
    """Open what `output` names; a file appears whole, or, if anything fails, not at all.

    Args:
        output: a path that ends in one of `SUFFIXES`, or None: a preview on a terminal, else JSON
            lines on standard output.
        dimension: elements of a vector.

    Yields:
        A function that appends texts and their vectors, float32 (texts, dimension).
    """
    if output is None:
        yield _preview if sys.stdout.isatty() else _json_lines(sys.stdout.write)
    elif output.suffix == ".npy":
        with _replacing(output) as stream, _npy(stream, dimension) as write:
            yield write
    else:
        with _replacing(output) as stream:
            yield _json_lines(lambda line: stream.write(line.encode("ascii")))


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file beside `path` that takes its place when the block ends without an exception."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EFBIG}:  # a write does not say to which file
            error.filename = str(path)
        raise
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _npy(stream: IO[bytes], dimension: int) -> Iterator["Write"]:
    """Append rows to an array file whose length is known at the end only.

    NumPy pads a file's header so that a longer first axis still fits (`GROWTH_AXIS_MAX_DIGITS` in
    numpy/lib/_format_impl.py), so the header is written twice, to the same length.
    """
    from numpy.lib import format as npy

    rows = 0

    def write_header() -> None:
        header = {"descr": "<f4", "fortran_order": False, "shape": (rows, dimension)}
        npy.write_array_header_1_0(stream, header)

    def write(texts: Sequence[str], block: "Block") -> None:
        nonlocal rows
        rows += len(texts)
        stream.write(block.astype("<f4", copy=False).tobytes())

    write_header()
    yield write
    stream.seek(0)
    write_header()


def _json_lines(put: "Callable[[str], object]") -> "Write":
    """A line for each text: {"text": …, "embedding": […]}, with the digits that float32 needs."""
    import json

    def write(texts: Sequence[str], block: "Block") -> None:
        row = ", ".join(["%.9g"] * block.shape[1])  # 9 digits give a float32 back exactly
        for text, vector in zip(texts, block.tolist(), strict=True):
            numbers = row % tuple(vector)
            put(f'{{"text": {json.dumps(text)}, "embedding": [{numbers}]}}\n')

    return write


def _preview(texts: Sequence[str], block: "Block") -> None:
    for text, vector in zip(texts, block, strict=True):
        short = text if len(text) <= 40 else text[:39] + "…"
        numbers = ", ".join(f"{value:7.4f}" for value in vector[:4])
        sys.stdout.write(f"{short!r:<42} [{numbers}, … {len(vector)} numbers]\n")
