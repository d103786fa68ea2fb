"""Finished stages, kept by what they were made from."""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

from minilm.pipeline.output import StageOutput
from minilm.runtime.errors import ToolkitError
from minilm.runtime.extras import require_extra

__all__ = ["Cache", "default_directory", "schema_of"]

_log = logging.getLogger(__name__)
_RESULT: Final = "result.json"
_BAD_ENTRY: Final = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
    ToolkitError,
)
"""Errors of reading an entry that is damaged, cut short or from another version."""


def default_directory() -> Path | None:
    """`$MINILM_CACHE`, or `minilm-toolkit` in the user's cache directory; None without a home."""
    named = os.environ.get("MINILM_CACHE")
    if named:
        return Path(named)
    with require_extra("build", "Building a bundle"):
        import platformdirs
    try:
        found = platformdirs.user_cache_path("minilm-toolkit", appauthor=False)
    except RuntimeError:  # newer versions refuse what older ones leave as "~"
        return None
    return found if found.is_absolute() else None


class Cache:
    """A directory of stage outputs, each under the SHA-256 of its key.

    The key also covers the schema of `StageOutput`, so that a version with other fields never
    reads this one's entries. A damaged entry counts as absent. An entry that cannot be written is
    reported in the log and costs the next build time, not this one its output.
    """

    def __init__(self, directory: Path | None) -> None:
        """Use `directory`, which is made when it is first needed; with None nothing is kept."""
        self._directory = directory
        if directory is None:
            _log.warning("there is no home directory: no stage is kept; set MINILM_CACHE")

    def get(self, name: str, key: object, work: Path) -> StageOutput | None:
        """Copy a stage's files into `work` and give its output, or None where there is none."""
        if self._directory is None:
            return None
        entry = self._entry(self._directory, name, key)
        try:
            output = StageOutput.from_json((entry / _RESULT).read_text("utf-8"))
            contents = {file.path: (entry / file.path).read_bytes() for file in output.files}
        except _BAD_ENTRY:
            return None
        if any(
            hashlib.sha256(contents[file.path]).hexdigest() != file.sha256 for file in output.files
        ):
            return None
        for path, content in contents.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_bytes(content)
        with contextlib.suppress(OSError):
            os.utime(entry)
        return output

    def put(self, name: str, key: object, work: Path, output: StageOutput) -> None:
        """Keep the output of a stage with its files, which are below `work`."""
        if self._directory is None:
            return
        entry = self._entry(self._directory, name, key)
        try:
            entry.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=entry.parent, prefix=".new-") as scratch:
                made = Path(scratch) / "entry"
                made.mkdir()
                for file in output.files:
                    (made / file.path).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(work / file.path, made / file.path)
                (made / _RESULT).write_text(output.to_json(), encoding="utf-8")
                shutil.rmtree(entry, ignore_errors=True)
                made.replace(entry)
            _drop_older(entry)
        except OSError as error:
            _log.warning("stage %s is not kept for the next build: %s", name, error)

    @staticmethod
    def _entry(directory: Path, name: str, key: object) -> Path:
        text = json.dumps([name, key, schema_of(StageOutput)], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return directory / f"{name.replace('/', '-')}-{digest[:32]}"


def schema_of(kind: type) -> dict[str, Any]:
    """Fields of a dataclass: name to its type and the schemas of the dataclasses in that type."""
    hints = get_type_hints(kind)
    return {
        field.name: [
            str(hints[field.name]),
            [schema_of(part) for part in _parts(hints[field.name]) if is_dataclass(part)],
        ]
        for field in fields(kind)
    }


def _parts(hint: Any) -> Iterator[type]:
    """The types that a type hint is put together from, at any depth."""
    if isinstance(hint, type):
        yield hint
    for argument in get_args(hint):
        yield from _parts(argument)


def _drop_older(entry: Path, keep: int = 4) -> None:
    """Keep the few entries of a stage that were used last."""
    stage = entry.name.rsplit("-", 1)[0]
    entries = sorted(
        entry.parent.glob(f"{stage}-*"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    for old in entries[keep:]:
        shutil.rmtree(old, ignore_errors=True)
