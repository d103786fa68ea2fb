"""Run stages in order: timed, reused where nothing changed, a failure named with its place."""

import errno
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minilm.pipeline.cache import Cache
from minilm.runtime.errors import BuildFailed, SourceError, ToolkitError

__all__ = ["StageResult", "Stages"]

_log = logging.getLogger(__name__)

Work = Callable[[], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """One stage that has run.

    Attributes:
        name: of the stage ("cpu/int8").
        seconds: that it took.
        reused: whether its result came from the cache.
    """

    name: str
    seconds: float
    reused: bool


@dataclass(kw_only=True)
class Stages:
    """The stages of one build.

    Attributes:
        work: directory that stages write into.
        cache: of finished stages.
        fresh: whether to ignore what the cache holds.
        on_progress: gets a line before each stage.
        done: what has run.
    """

    work: Path
    cache: Cache
    fresh: bool
    on_progress: Callable[[str], None]
    done: list[StageResult] = field(default_factory=list)

    def run(self, name: str, work: Work, *, key: object = None) -> dict[str, Any]:
        """Run one stage and give what it returns.

        Args:
            name: for people.
            work: writes files below `self.work` and returns JSON data; the key "files" lists them.
            key: all that the result depends on, as JSON data; None for a stage that always runs.

        Raises:
            BuildFailed: the stage failed; names it and those before it.
            SourceError: the weights are at fault.
        """
        self.on_progress(name)
        start = time.perf_counter()
        try:
            found = None if key is None or self.fresh else self.cache.get(name, key, self.work)
            result = found if found is not None else work()
            if found is None and key is not None:
                self.cache.put(name, key, self.work, result)
        except Exception as error:  # whatever a library raises, the stage is named
            raise self._failure(name, error) from error
        seconds = time.perf_counter() - start
        self.done.append(StageResult(name=name, seconds=seconds, reused=found is not None))
        _log.info(
            "%s: %.1f s%s", name, seconds, ", reused" if found is not None else "",
            extra={"stage": name, "seconds": round(seconds, 3), "reused": found is not None},
        )  # fmt: skip
        return result

    def _failure(self, name: str, error: Exception) -> ToolkitError:
        if isinstance(error, SourceError):
            return error
        before = ", ".join(stage.name for stage in self.done) or "none"
        full = isinstance(error, OSError) and error.errno in {
            errno.ENOSPC,
            errno.EDQUOT,
            errno.EFBIG,
        }
        what = (
            f"{type(error).__name__}: {error}"
            if not isinstance(error, ToolkitError)
            else str(error)
        )
        advice = (
            f"; no space is left below {self.work.parent}: free some and build again"
            if full
            else ""
        )
        kind = type(error) if isinstance(error, ToolkitError) else BuildFailed
        return kind(f"stage {name} failed: {what}{advice} (stages before it: {before})")
