"""Forks between native calls, never during one.

A forked child has one thread, and the locks as they were. A lock that another thread held in native
code (an allocator's, a tokenizer's) is held for ever there, and the child hangs at the first call
that wants it. So it does at the import of a module that another thread was importing. That is why
calls into native code, and loads with their imports, pass through a gate that a fork closes: it
waits for those that run, some ms, and holds the next ones back until it is done.
"""

import os
import sys
import threading
from types import TracebackType
from typing import Final

__all__ = ["native_calls"]

_LOCKED_FOR_FORKS: Final[tuple[str, ...]] = ("concurrent.futures.thread", "logging")
"""Modules of the standard library that take a lock before a fork; OpenVINO imports both."""


class _ForkGate:
    """A context for calls into native code: any number at once, but none while a process forks."""

    def __init__(self) -> None:
        self._hooked_before: set[str] | None = None
        self._reset()

    def register(self) -> None:
        """Have forks come here first, before the modules that lock something of theirs for a fork.

        Hooks before a fork run in the reverse of their order. One of an earlier module would wait
        here with that module's lock taken, for a load that may want the lock. To be called again
        when such modules were imported since. Hooks may be there twice then, and those after a fork
        may be more than those before it, if this is called by another thread in between.
        """
        hooked = {name for name in _LOCKED_FOR_FORKS if name in sys.modules}
        if hooked == self._hooked_before or not hasattr(os, "register_at_fork"):
            return
        self._hooked_before = hooked
        os.register_at_fork(
            before=self.before_fork,
            after_in_parent=self.after_fork_in_parent,
            after_in_child=self.after_fork_in_child,
        )

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._forking: set[int] = set()
        self._depth: dict[int, int] = {}

    def __enter__(self) -> None:
        thread = threading.get_ident()
        with self._changed:
            # A thread that is inside already may go further: the fork waits for it.
            while self._forking - {thread} and thread not in self._depth:
                self._changed.wait()
            self._depth[thread] = self._depth.get(thread, 0) + 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        thread = threading.get_ident()
        with self._changed:
            self._depth[thread] -= 1
            if not self._depth[thread]:
                del self._depth[thread]
                if self._forking:
                    self._changed.notify_all()

    def before_fork(self) -> None:
        """Wait until no other thread is inside. A signal handler may fork inside a call."""
        thread = threading.get_ident()
        with self._changed:
            self._forking.add(thread)
            self._changed.wait_for(lambda: self._depth.keys() <= {thread})

    def after_fork_in_parent(self) -> None:
        """Let threads in again."""
        with self._changed:
            self._forking.discard(threading.get_ident())
            self._changed.notify_all()

    def after_fork_in_child(self) -> None:
        """Begin anew with the one thread that is left."""
        thread = threading.get_ident()
        depth = self._depth.get(thread)
        self._reset()
        if depth:
            self._depth[thread] = depth


native_calls: Final = _ForkGate()
"""The process's gate: `with native_calls:` around what runs native code that takes locks."""
native_calls.register()
