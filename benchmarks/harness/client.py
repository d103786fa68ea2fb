"""This side of a worker: start it, ask it, end it."""

import contextlib
import json
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

__all__ = ["Client", "WorkerError"]

_BOOT: Final = (
    "import sys; sys.path.append(sys.argv[1]); from benchmarks.harness.worker import main; main()"
)
_TIMEOUT_SECONDS: Final = 300.0


class WorkerError(RuntimeError):
    """A peer raised, died or hung; the message says what it said."""


class Client:
    """A worker process."""

    def __init__(
        self,
        python: Path,
        root: Path,
        environment: Mapping[str, str],
        *,
        timeout_seconds: float = _TIMEOUT_SECONDS,
    ) -> None:
        """Start it.

        Args:
            python: of the peer's environment.
            root: folder that has `benchmarks`; searched after all that is installed.
            environment: variables of the process.
            timeout_seconds: for one request.
        """
        self._timeout = timeout_seconds
        # Open for as long as the process is: `close` closes both.
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [str(python), "-I", "-c", _BOOT, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=dict(environment),
            encoding="utf-8",
        )

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Make a request and wait for the reply.

        Raises:
            WorkerError: the peer raised or ended, or the time is up.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        watchdog = threading.Timer(self._timeout, self._process.kill)
        watchdog.start()
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            watchdog.cancel()
        if not line:
            raise WorkerError(f"{do}: the process ended or hung: {self._last_words()}")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise WorkerError(f"{do}: {reply['error']}")
        return reply

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._said):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):  # what was not sent is of no use now
                    stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = [line.strip() for line in self._said if line.strip()]
        return lines[-1] if lines else "it wrote nothing"
