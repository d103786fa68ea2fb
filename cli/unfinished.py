"""An output on its way: its rows in a file beside it, and beside that a note of what is safe.

While `vectors.npy` is written there are

- `vectors.npy.part`, which is only appended to, a block at a time;
- `vectors.npy.part.json`, written anew about once a second and only after the rows that it speaks
  of are on the disk: how many rows and bytes are safe, what the texts were, what made the vectors.

A process may die between any two instructions. The next one cuts the first file back to the bytes
that the second names, reads the input from its beginning, sees by a hash that its first texts are
those whose rows are there, and goes on behind them: nothing is lost but what the second file did
not know of, and nothing is twice. The rest of the input may have changed: its rows are not there
yet. A stream that is sent again is as good as a file. Blocks begin where they would have begun, so
that a batch has the same neighbours; where a batch decides its own bits, so does the file.
"""

import errno
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import typer
from minilm.runtime import EncodeReport

if TYPE_CHECKING:
    from minilm.cli.formats import Block, Format

__all__ = ["Unfinished", "unfinished"]

_SAFE_EVERY_SECONDS: Final = 1.0
_OPTION: Final = "--resume"
_START_OVER: Final = "start over with --no-resume"


@dataclass(frozen=True, kw_only=True)
class _Safe:
    """What of an unfinished output is on the disk.

    Attributes:
        rows: whole ones.
        bytes: of the part file that hold them.
        texts_sha256: of their texts.
        report: what became of their texts.
        recipe: what made their vectors, by name.
    """

    rows: int = 0
    bytes: int = 0
    texts_sha256: str = field(default_factory=lambda: hashlib.sha256().hexdigest())
    report: EncodeReport = field(default_factory=EncodeReport)
    recipe: Mapping[str, str]


@contextmanager
def unfinished(
    output: Path, form: "Format", recipe: Mapping[str, str], *, resume: bool | None
) -> Iterator["Unfinished"]:
    """An output to add rows to, which takes its place when the block ends without an exception.

    Args:
        output: where it is to stand.
        form: how rows are written.
        recipe: what makes the vectors: names to values that have to be as they were.
        resume: go on with what a run before left, start over, or, None, refuse to do either if
            something is left.

    Raises:
        typer.BadParameter: something is left and `resume` is None, or it cannot be gone on with.
    """
    rows = Unfinished(output, form, recipe)
    rows.open(resume=resume)
    try:
        yield rows
        rows.finish()
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}:
            error.filename = str(output)  # a write does not say to which file
        rows.give_up()
        raise
    finally:
        rows.close()


class Unfinished:
    """Rows of an output that does not stand in its place yet. `unfinished` makes it.

    Attributes:
        rows: that are there.
        report: what became of their texts.
    """

    def __init__(self, output: Path, form: "Format", recipe: Mapping[str, str]) -> None:
        self._output = output
        self._part = output.with_name(f"{output.name}.part")
        self._note = output.with_name(f"{output.name}.part.json")
        self._form = form
        self._safe = _Safe(recipe=recipe)
        self._texts = hashlib.sha256()
        self._before = self.report = EncodeReport()
        self.rows = 0
        self._noted = time.monotonic()

    def open(self, *, resume: bool | None) -> None:
        """Begin, or go on where the note says.

        Raises:
            typer.BadParameter: as `unfinished`.
        """
        self._stream, found = _open_locked(self._part)
        try:
            # A note without its file speaks of one that was finished since, or thrown away.
            left = resume is not False and found and self._note.exists()
            safe = self._read_note() if left else None
            if safe is not None and safe.rows:
                self._go_on(safe, resume=bool(resume))
            else:
                self._note.unlink(missing_ok=True)
                self._stream.truncate(0)
                self._stream.write(self._form.start())
        except BaseException:
            self.close()
            raise

    def rest(self, texts: Iterable[str]) -> Iterator[str]:
        """The texts behind those whose rows are there, once these are seen to be the same.

        Raises:
            typer.BadParameter: they are not.
        """
        stream = iter(texts)
        count = 0
        for text in islice(stream, self.rows):
            self._digest(text)
            count += 1
        if count < self.rows:
            found = f"the input has {count} texts"
        elif self._texts.hexdigest() != self._safe.texts_sha256:
            found = f"the first {self.rows} texts of the input are others now"
        else:
            return stream
        raise _refused(f"{self._part} has the rows of {self.rows} texts, and {found}")

    def add(self, texts: Sequence[str], block: "Block", report: EncodeReport) -> None:
        """Append rows.

        Args:
            texts: k of them.
            block: their vectors, float32 (k, dimension).
            report: of all texts since the output was opened.
        """
        self._stream.write(self._form.rows(texts, block))
        for text in texts:
            self._digest(text)
        self.rows += len(texts)
        self.report = self._before + report
        if time.monotonic() - self._noted >= _SAFE_EVERY_SECONDS:
            self._make_safe()

    def finish(self) -> None:
        """Put the whole output in its place."""
        self._make_safe()
        whole = self._form.finish(self._part, self._stream, self.rows)
        self._flush()
        if os.name == "nt":  # where no open file can be renamed
            self._stream.close()
        whole.replace(self._output)
        if whole != self._part:
            self._part.unlink()
        self._note.unlink()

    def give_up(self) -> None:
        """Keep what is safe for a run to come, and say so; if nothing is, leave nothing."""
        if self._safe.rows == 0:
            self._note.unlink(missing_ok=True)
            self._part.unlink(missing_ok=True)
            return
        from minilm.cli.console import note

        note(f"{self._safe.rows} rows are safe in {self._part}: go on with {_OPTION}")

    def close(self) -> None:
        """Let go of the file, and of its lock."""
        # What it could not write it says again; `finish` has flushed, so nothing else is lost here.
        with suppress(OSError):
            self._stream.close()

    def _go_on(self, safe: _Safe, *, resume: bool) -> None:
        if not resume:
            raise _refused(
                f"{self._part} holds {safe.rows} rows of a run that did not finish: go on with "
                f"{_OPTION}, or {_START_OVER}"
            )
        for name, value in self._safe.recipe.items():
            if (was := safe.recipe.get(name)) != value:
                raise _refused(
                    f"{self._part} was begun with {name} {was}, and now it is {value}: choose as "
                    f"before, or {_START_OVER}"
                )
        size = self._part.stat().st_size
        if size < safe.bytes:
            raise _refused(
                f"{self._part} has {size} bytes, {self._note.name} says {safe.bytes}: {_START_OVER}"
            )
        self._stream.truncate(safe.bytes)
        self._stream.seek(safe.bytes)
        self._safe, self.rows = safe, safe.rows
        self._before = self.report = safe.report

    def _read_note(self) -> _Safe:
        try:
            data: dict[str, Any] = json.loads(self._note.read_text(encoding="utf-8"))
            data["report"] = EncodeReport(**data["report"])
            return _Safe(**data)
        except (ValueError, TypeError, KeyError) as error:
            raise _refused(f"{self._note} cannot be understood ({error}): {_START_OVER}") from error

    def _make_safe(self) -> None:
        """Rows first, the note after: it never speaks of what is not there."""
        self._flush()
        self._safe = _Safe(
            rows=self.rows,
            bytes=self._stream.seek(0, os.SEEK_END),
            texts_sha256=self._texts.hexdigest(),
            report=self.report,
            recipe=self._safe.recipe,
        )
        new = self._note.with_name(f"{self._note.name}.new")
        with new.open("w", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(self._safe), indent=2) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(self._note)
        self._noted = time.monotonic()

    def _flush(self) -> None:
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def _digest(self, text: str) -> None:
        data = text.encode("utf-8", "surrogatepass")
        self._texts.update(len(data).to_bytes(8, "little"))  # "ab", "c" is not "a", "bc"
        self._texts.update(data)


def _open_locked(part: Path) -> tuple[IO[bytes], bool]:
    """Open a file that no other process has, and say whether it was there.

    Raises:
        typer.BadParameter: another process has it.
    """
    try:
        stream, found = part.open("r+b"), True
    except FileNotFoundError:
        stream, found = part.open("x+b"), False
    try:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had the lock may have put this very file in its place since it was opened here.
        ours = part.exists() and os.fstat(stream.fileno()).st_ino == part.stat().st_ino
    except BlockingIOError:
        ours = False
    except (ImportError, OSError):  # Windows, or a file system without locks
        ours = True
    if not ours:
        stream.close()
        raise _refused(f"another process is writing {part}: wait for it, or choose another name")
    return stream, found


def _refused(message: str) -> typer.BadParameter:
    return typer.BadParameter(message, param_hint=_OPTION)
