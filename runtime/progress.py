"""A progress bar that needs no library."""

import sys
import threading
import time
from typing import Final

__all__ = ["Progress"]

_WIDTH: Final = 30
_INTERVAL_SECONDS: Final = 0.1


class Progress:
    """Draws how many of `total` texts are done on standard error, if that is a terminal."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._drawn = 0.0
        self._lock = threading.Lock()
        self._visible = sys.stderr is not None and sys.stderr.isatty() and total > 0

    def advance(self, count: int) -> None:
        """Count texts as done; may be called by several threads."""
        if not self._visible or count == 0:
            return
        with self._lock:
            self._done = min(self._total, self._done + count)
            now = time.monotonic()
            if now - self._drawn < _INTERVAL_SECONDS and self._done < self._total:
                return
            self._drawn = now
            filled = self._done * _WIDTH // self._total
            bar = "█" * filled + "·" * (_WIDTH - filled)
            end = "\n" if self._done == self._total else ""
            sys.stderr.write(f"\r{bar} {self._done}/{self._total} texts{end}")
            sys.stderr.flush()
