"""Crash-saved output: rows go to `OUT.part`; `OUT.part.json` says how many of them are on disk.

- `OUT.part` is only appended to, a block at a time.
- `OUT.part.json`, the checkpoint, is written anew about once a second, and only after the rows that
  it counts are on disk: their number and bytes, a hash of their texts, the settings of the vectors.

A process may die between any two instructions. The next one truncates `OUT.part` to the bytes that
the checkpoint counts and compares their hash, reads the input from its beginning, compares the hash
of its first records, and continues behind them: only rows behind the checkpoint are computed again,
none is there twice.
The rest of the input may have changed, and a stream may be sent again. Blocks begin where they
would have begun, so that a batch has the same neighbours; where a batch decides its own bits, so
does the file.
"""

# Over 300 lines: what is written and what is believed of it again belong side by side.

import errno
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from minilm.bulk.part_file import RESUME, open_locked, read_note, release_name, write_note
from minilm.bulk.records import Record
from minilm.runtime import EncodeReport, schema
from minilm.runtime.errors import UsageError

if TYPE_CHECKING:
    from minilm.bulk.records import Block
    from minilm.bulk.writers import VectorWriter

__all__ = ["ResumableOutput", "resumable_output"]

_CHECKPOINT_EVERY_SECONDS: Final = 1.0
_READ_BYTES: Final = 1 << 20
_START_OVER: Final = "start over with --no-resume"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The rows of an unfinished output that are on disk.

    Attributes:
        rows: number of whole rows.
        bytes: length of the part file that holds them.
        part_sha256: hash of these bytes.
        texts_sha256: hash of their records.
        report: counts of their texts.
        recipe: settings that shape the vectors, by name.
    """

    rows: int = 0
    bytes: int = 0
    part_sha256: str = ""
    texts_sha256: str = field(default_factory=lambda: hashlib.sha256().hexdigest())
    report: EncodeReport = field(default_factory=EncodeReport)
    recipe: Mapping[str, str]


def _string(value: object, where: str) -> str:
    if isinstance(value, str):
        return value
    raise schema.MisfitError(where, value, "a string")


_COUNT: Final = schema.whole_number(0, 1 << 62)
_SHA256: Final = schema.matching(r"[0-9a-f]{64}", "a SHA-256 in hexadecimal")
_CHECKPOINT: Final = schema.record(
    Checkpoint,
    {
        "rows": _COUNT,
        "bytes": _COUNT,
        "part_sha256": _SHA256,
        "texts_sha256": _SHA256,
        "report": schema.record(
            EncodeReport, {count.name: _COUNT for count in fields(EncodeReport)}
        ),
        "recipe": schema.map_of(_string),
    },
)


@contextmanager
def resumable_output(
    output: Path,
    writer: "VectorWriter",
    recipe: Mapping[str, str],
    *,
    resume: bool | None,
    on_note: Callable[[str], None] | None = None,
) -> Iterator["ResumableOutput"]:
    """Yield an output to add rows to; it takes its place when the block ends without an exception.

    Args:
        output: path of the finished file.
        writer: file format of the rows.
        recipe: settings that shape the vectors: names to values that must not change in between.
        resume: True continues what an earlier run left, False starts over; None refuses both if
            something is left.
        on_note: called with what is kept of a run that fails.

    Raises:
        UsageError: something is left and `resume` is None, or it cannot be continued.
    """
    rows = ResumableOutput(output, writer, recipe, on_note or (lambda _: None))
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


class ResumableOutput:
    """Rows of an output that is not finished. `resumable_output` makes it.

    Attributes:
        rows: number of rows so far.
        report: counts of their texts.
    """

    def __init__(
        self,
        output: Path,
        writer: "VectorWriter",
        recipe: Mapping[str, str],
        on_note: Callable[[str], None],
    ) -> None:
        self._output = output
        self._part = output.with_name(f"{output.name}.part")
        self._note = output.with_name(f"{output.name}.part.json")
        self._writer = writer
        self._on_note = on_note
        self._saved = Checkpoint(recipe=recipe)
        self._texts = hashlib.sha256()
        self._bytes = hashlib.sha256()
        self._started = False
        self._before = self.report = EncodeReport()
        self.rows = 0
        self._saved_at = time.monotonic()

    def open(self, *, resume: bool | None) -> None:
        """Begin, or continue where the checkpoint says.

        Raises:
            UsageError: as `resumable_output`.
        """
        self._stream = open_locked(self._part)
        try:
            # A checkpoint without its part is of a file that was finished since, or deleted.
            found = resume is not False and self._part.stat().st_size and self._note.exists()
            saved = self._read() if found else None
            if saved is not None and saved.rows:
                self._continue(saved, resume=bool(resume))
            else:
                self._note.unlink(missing_ok=True)
                self._stream.truncate(0)
        except BaseException:
            self.close()
            raise

    def rest(self, records: Iterable[Record]) -> Iterator[Record]:
        """Skip the records whose rows are there, and check that they are the same.

        Raises:
            UsageError: they are not.
        """
        stream = iter(records)
        count = 0
        for record in islice(stream, self.rows):
            self._digest(record)
            count += 1
        if count < self.rows:
            found = f"the input has {count} texts"
        elif self._texts.hexdigest() != self._saved.texts_sha256:
            found = f"the first {self.rows} texts of the input are others now"
        else:
            return stream
        raise _refused(f"{self._part} has the rows of {self.rows} texts, and {found}")

    def add(self, records: Sequence[Record], block: "Block", report: EncodeReport) -> None:
        """Append rows.

        Args:
            records: k records.
            block: vectors of their texts, float32 (k, dimension).
            report: counts of all texts since the output was opened.
        """
        self._start(records)
        self._write(self._writer.rows(records, block))
        for record in records:
            self._digest(record)
        self.rows += len(records)
        self.report = self._before + report
        if time.monotonic() - self._saved_at >= _CHECKPOINT_EVERY_SECONDS:
            self._save()

    def finish(self) -> None:
        """Complete the file and rename it to its name."""
        self._start(())
        self._save()
        whole = self._writer.finish(self._part, self._stream, self.rows)
        self._flush()
        if os.name == "nt":  # where no open file can be renamed
            self._stream.close()
        whole.replace(self._output)
        if whole == self._part:
            release_name(self._part, self._note)
        else:  # the part goes last: until then, its lock keeps other processes out
            self._note.unlink(missing_ok=True)
            self._part.unlink(missing_ok=True)

    def give_up(self) -> None:
        """Keep the saved rows for a later run, and say so; without any, leave nothing."""
        if self._saved.rows == 0:
            self._note.unlink(missing_ok=True)
            self._part.unlink(missing_ok=True)
            return
        self._on_note(f"{self._saved.rows} rows are safe in {self._part}: go on with {RESUME}")

    def close(self) -> None:
        """Close the file and release its lock."""
        # A failed write fails again here; `finish` has flushed, so nothing else is lost.
        with suppress(OSError):
            self._stream.close()

    def _continue(self, saved: Checkpoint, *, resume: bool) -> None:
        if not resume:
            raise _refused(
                f"{self._part} holds {saved.rows} rows of a run that did not finish: go on with "
                f"{RESUME}, or {_START_OVER}"
            )
        for name, value in self._saved.recipe.items():
            if (was := saved.recipe.get(name)) != value:
                raise _refused(
                    f"{self._part} was begun with {name} {was}, and now it is {value}: choose as "
                    f"before, or {_START_OVER}"
                )
        size = self._part.stat().st_size
        if size < saved.bytes:
            raise _refused(
                f"{self._part} has {size} bytes, {self._note.name} says {saved.bytes}: "
                f"{_START_OVER}"
            )
        self._stream.truncate(saved.bytes)
        self._writer.resume(self._part, self._stream)
        self._check_bytes(saved)
        self._saved, self.rows, self._started = saved, saved.rows, True
        self._before = self.report = saved.report

    def _check_bytes(self, saved: Checkpoint) -> None:
        """Hash what is there; the stream is at its end afterwards."""
        self._stream.seek(0)
        while block := self._stream.read(_READ_BYTES):
            self._bytes.update(block)
        if self._bytes.hexdigest() != saved.part_sha256:
            raise _refused(
                f"{self._part} was altered since a run left it, {self._note.name} has another "
                f"hash: {_START_OVER}"
            )

    def _read(self) -> Checkpoint:
        try:
            return _CHECKPOINT(schema.parse_json(read_note(self._note)), "")
        except (ValueError, OSError) as error:
            raise _refused(f"{self._note} cannot be understood ({error}): {_START_OVER}") from error

    def _start(self, records: Sequence[Record]) -> None:
        if not self._started:
            self._started = True
            self._write(self._writer.start(records))

    def _write(self, data: bytes) -> None:
        self._stream.write(data)
        self._bytes.update(data)

    def _save(self) -> None:
        """Flush the rows first, then the checkpoint: it never counts a row that is not on disk."""
        self._flush()
        saved = Checkpoint(
            rows=self.rows,
            bytes=self._stream.seek(0, os.SEEK_END),
            part_sha256=self._bytes.hexdigest(),
            texts_sha256=self._texts.hexdigest(),
            report=self.report,
            recipe=self._saved.recipe,
        )
        write_note(self._note, json.dumps(asdict(saved), indent=2) + "\n")
        self._saved, self._saved_at = saved, time.monotonic()

    def _flush(self) -> None:
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def _digest(self, record: Record) -> None:
        data = record.fingerprint()
        self._texts.update(len(data).to_bytes(8, "little"))  # "ab", "c" is not "a", "bc"
        self._texts.update(data)


def _refused(message: str) -> UsageError:
    return UsageError(message, option=RESUME)
