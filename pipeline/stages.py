"""Run stages in order: timed, reused where nothing changed, a failure named with its place."""

import errno
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from minilm.pipeline.cache import Cache
from minilm.pipeline.output import StageOutput
from minilm.runtime.errors import BuildFailed, SourceError, ToolkitError

__all__ = ["StageResult", "StageRunner"]

_log = logging.getLogger(__name__)
_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """One stage that has run.

    Attributes:
        name: Name of the stage ("cpu/int8").
        seconds: Time that the stage took.
        reused: Whether the output came from the cache.
    """

    name: str
    seconds: float
    reused: bool


@dataclass(kw_only=True)
class StageRunner:
    """Runs the stages of one build.

    Attributes:
        work: Directory that stages write into.
        cache: Outputs of stages that ran before.
        fresh: Whether to ignore what the cache holds.
        on_progress: Callback that gets a line before each stage.
        done: Stages that have run, in order.
    """

    work: Path
    cache: Cache
    fresh: bool
    on_progress: Callable[[str], None]
    done: list[StageResult] = field(default_factory=list)

    def run(self, name: str, stage: Callable[[], Result]) -> Result:
        """Run a stage and give what it returns.

        Raises:
            BuildFailed: the stage failed; names it and those before it.
            SourceError: the weights are at fault.
        """
        return self._timed(name, lambda: (stage(), False))

    def run_cached(
        self, name: str, stage: Callable[[], StageOutput], *, key: object
    ) -> StageOutput:
        """Run a stage, or reuse its output where one with the same key is kept.

        Args:
            name: Name for people, also part of the key.
            stage: Function that writes files below `work` and describes them.
            key: All that the output depends on, as JSON data.

        Raises:
            BuildFailed: the stage failed; names it and those before it.
            SourceError: the weights are at fault.
        """

        def run() -> tuple[StageOutput, bool]:
            found = None if self.fresh else self.cache.get(name, key, self.work)
            if found is not None:
                return found, True
            output = stage()
            self.cache.put(name, key, self.work, output)
            return output, False

        return self._timed(name, run)

    def _timed(self, name: str, stage: Callable[[], tuple[Result, bool]]) -> Result:
        self.on_progress(name)
        start = time.perf_counter()
        try:
            result, reused = stage()
        except Exception as error:  # whatever a library raises, the stage is named
            raise self._failure(name, error) from error
        seconds = time.perf_counter() - start
        self.done.append(StageResult(name=name, seconds=seconds, reused=reused))
        _log.info(
            "%s: %.1f s%s", name, seconds, ", reused" if reused else "",
            extra={"stage": name, "seconds": round(seconds, 3), "reused": reused},
        )  # fmt: skip
        return result

    def _failure(self, name: str, error: Exception) -> ToolkitError:
        if isinstance(error, SourceError):
            return error
        known = isinstance(error, ToolkitError)
        what = str(error) if known else f"{type(error).__name__}: {error}"
        if isinstance(error, OSError) and error.errno in _NO_SPACE:
            what += f"; no space is left below {self.work.parent}: free some and build again"
        before = ", ".join(stage.name for stage in self.done) or "none"
        kind = type(error) if isinstance(error, ToolkitError) else BuildFailed
        return kind(f"stage {name} failed: {what} (stages before it: {before})")
