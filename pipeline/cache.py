"""Finished stages, kept by what they were made from."""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["Cache", "default_directory"]

_log = logging.getLogger(__name__)
_RESULT = "result.json"


def default_directory() -> Path:
    """`$MINILM_CACHE`, or `minilm-toolkit` in the user's cache directory (XDG Base Directory)."""
    named = os.environ.get("MINILM_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "minilm-toolkit"


class Cache:
    """A directory of stage results, each under the SHA-256 of its key.

    A damaged entry counts as absent. An entry that cannot be written is reported in the log and
    costs the next build time, not this one its result.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, name: str, key: object, work: Path) -> dict[str, Any] | None:
        """Copy a stage's files into `work` and give its result, or None where there is none."""
        entry = self._entry(name, key)
        try:
            result: dict[str, Any] = json.loads((entry / _RESULT).read_text("utf-8"))
            for path, digest in result["files"].items():
                if _sha256(entry / path) != digest:
                    return None
            for path in result["files"]:
                (work / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(entry / path, work / path)
        except (OSError, ValueError, KeyError, AttributeError):
            return None
        with contextlib.suppress(OSError):
            os.utime(entry)
        return result

    def put(self, name: str, key: object, work: Path, result: dict[str, Any]) -> None:
        """Keep a stage's files and result; `result["files"]` lists the paths below `work`."""
        entry = self._entry(name, key)
        try:
            entry.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=entry.parent, prefix=".new-") as scratch:
                made = Path(scratch) / "entry"
                for path in result["files"]:
                    (made / path).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(work / path, made / path)
                result["files"] = {path: _sha256(made / path) for path in result["files"]}
                made.mkdir(parents=True, exist_ok=True)
                (made / _RESULT).write_text(json.dumps(result), encoding="utf-8")
                shutil.rmtree(entry, ignore_errors=True)
                made.replace(entry)
            self._drop_older(entry)
        except OSError as error:
            _log.warning("stage %s is not kept for the next build: %s", name, error)

    def _entry(self, name: str, key: object) -> Path:
        text = json.dumps([name, key], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return self._directory / f"{name.replace('/', '-')}-{digest[:32]}"

    def _drop_older(self, entry: Path, keep: int = 4) -> None:
        """Keep the few entries of a stage that were used last."""
        stage = entry.name.rsplit("-", 1)[0]
        entries = sorted(
            self._directory.glob(f"{stage}-*"), key=lambda path: path.stat().st_mtime, reverse=True
        )
        for old in entries[keep:]:
            shutil.rmtree(old, ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
