"""How commands print: tables, JSON, progress. rich is imported only when something is drawn.

What a command was asked for goes to standard output; progress and notes go to standard error.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

__all__ = ["counting", "logging_on", "note", "print_json", "print_table", "size", "steps"]

_DRAW_AFTER_SECONDS: Final = 1.0


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table: drawn on a terminal, plain aligned columns elsewhere.

    Args:
        title: stands above.
        columns: their names; all of them empty for a table without a head.
        rows: cells, as many a row as there are columns.
    """
    cells = [list(row) for row in rows]
    if sys.stdout.isatty():
        _draw_table(title, columns, cells)
        return
    lines = [[*columns], *cells] if any(columns) else cells
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    sys.stdout.write(f"{title}\n")
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(padded).rstrip() + "\n")
    sys.stdout.write("\n")


def print_json(document: object) -> None:
    """Print `document` as indented JSON on standard output."""
    ascii_only = sys.stdout.encoding.lower() != "utf-8"
    text = json.dumps(document, indent=2, ensure_ascii=ascii_only, allow_nan=False)
    sys.stdout.write(f"{text}\n")


def note(message: str) -> None:
    """Tell the user something that is not part of the result."""
    sys.stderr.write(f"note: {message}\n")


def size(count: int) -> str:
    """`count` bytes for reading: "612 B", "466 kB", "90.4 MB" (decimal units)."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:.0f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"


def logging_on() -> bool:
    """Whether the user asked for a log: -v or --log-json."""
    import logging

    return bool(logging.getLogger("minilm").handlers)


@contextmanager
def steps(*, logged: bool = True) -> Iterator[Callable[[str], None]]:
    """Progress of work in named steps, few and long.

    Args:
        logged: whether the work logs its steps itself; if not, they are logged here.

    Yields:
        A function to call with each step's name: on a terminal it stands beside a spinner until
        the next, elsewhere it is a line on standard error. Where the user asked for a log (-v,
        --log-json), it is there, once.
    """
    if logging_on():
        import logging

        yield (lambda _: None) if logged else logging.getLogger(__name__).info
        return
    if not sys.stderr.isatty():
        yield _plain_line
        return
    from rich.console import Console

    console = Console(stderr=True, markup=False, highlight=False)
    with console.status("starting") as status:
        yield status.update


@contextmanager
def counting(what: str, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Progress of work over many items.

    Args:
        what: they are.
        done: items that a run before has done: counted, but not in the rate.

    Yields:
        A function to call with the number of items done since the last call. It draws on a
        terminal, and only once the work has taken a second; elsewhere it is silent.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    counter = _Counter(what, done)
    try:
        yield counter.add
    finally:
        counter.close()


def _draw_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, show_header=any(columns), pad_edge=False
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(markup=False, emoji=False, highlight=False).print(table)


def _plain_line(message: str) -> None:
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


class _Counter:
    """A count with its rate on one line of the terminal, drawn at most ten times a second."""

    def __init__(self, what: str, before: int) -> None:
        self._what = what
        self._before = before
        self._start = self._drawn = time.monotonic()
        self._done = 0
        self._width = 0

    def add(self, items: int) -> None:
        """Count `items` more."""
        self._done += items
        now = time.monotonic()
        if now - self._start >= _DRAW_AFTER_SECONDS and now - self._drawn >= 0.1:
            self._drawn = now
            rate = self._done / (now - self._start)
            self._draw(f"{self._before + self._done:,} {self._what}, {rate:,.0f}/s")

    def close(self) -> None:
        """Clear the line."""
        if self._width:
            self._draw("")

    def _draw(self, line: str) -> None:
        sys.stderr.write(f"\r{line.ljust(self._width)}" + ("" if line else "\r"))
        sys.stderr.flush()
        self._width = len(line)
