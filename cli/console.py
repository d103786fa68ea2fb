"""How commands print: tables, JSON, progress. rich is imported only when something is drawn.

Results go to standard output; progress and notes go to standard error. Foreign text is made safe
here (`minilm.runtime.display`), so that no command has to think of it.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from minilm.runtime.display import visible, visible_json

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = [
    "conclude",
    "counting",
    "logging_on",
    "note",
    "print_json",
    "print_line",
    "print_table",
    "size",
    "steps",
    "verdict",
]

_DRAW_AFTER_SECONDS: Final = 1.0

_STYLES: Final = {"✗ FAILED": "bold red", "FAILED": "bold red", "✓ passed": "green"}
"""How a cell that begins so is drawn on a terminal; rich leaves colour out under NO_COLOR."""


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table: drawn on a terminal, plain aligned columns elsewhere.

    Args:
        title: stands above.
        columns: their names; all of them empty for a table without a head.
        rows: cells, as many a row as there are columns.
    """
    title, cells = visible(title), [[visible(cell) for cell in row] for row in rows]
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


def print_line(text: str, *, passed: bool | None = None) -> None:
    """Print a line: on a terminal green if `passed`, red if not, wrapped between words."""
    text = visible(text)
    if not sys.stdout.isatty():
        sys.stdout.write(f"{text}\n")
        return
    from rich.console import Console
    from rich.text import Text

    style = {None: "", True: "bold green", False: "bold red"}[passed]
    Console(markup=False, emoji=False, highlight=False).print(Text(text, style=style))


def verdict(*, passed: bool, count: int | None = None) -> str:
    """ "✓ passed 17" or "✗ FAILED 2": the sign only where it can be shown, the count if given."""
    word, sign = ("passed", "✓") if passed else ("FAILED", "✗")
    number = "" if count is None else f" {count}"
    return f"{sign} {word}{number}" if _shows(sign) else f"{word}{number}"


def print_json(document: object) -> None:
    """Print `document` as indented JSON on standard output."""
    ascii_only = sys.stdout.encoding.lower() != "utf-8"
    text = json.dumps(document, indent=2, ensure_ascii=ascii_only, allow_nan=False)
    sys.stdout.write(f"{visible_json(text)}\n")


def conclude(message: str) -> None:
    """Say what a command has done: in the log if there is one, else on a terminal alone."""
    if logging_on():
        import logging

        logging.getLogger(__name__).info(message)
    elif sys.stderr.isatty():
        sys.stderr.write(f"{visible(message)}\n")


def note(message: str) -> None:
    """Tell the user something that is not part of the result."""
    sys.stderr.write(f"note: {visible(message)}\n")


def size(count: int) -> str:
    """`count` bytes for reading: "612 B", "466 kB", "90.4 MB" (decimal units)."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:.0f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"


def logging_on() -> bool:
    """Whether the user asked for a log: -v or --log-json."""
    if "logging" not in sys.modules:  # then nobody asked, and the import can be spared
        return False
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
        yield lambda message: status.update(visible(message))


@contextmanager
def counting(label: str, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Progress of work over many items.

    Args:
        label: name of the items, as shown to the user ("texts").
        done: items that an earlier run has done: counted, but not in the rate.

    Yields:
        A function to call with the number of items done since the last call. It draws on a
        terminal, and only once the work has taken a second; elsewhere it is silent.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with ExitStack() as stack:
        yield _Counter(label, done, stack).add


def _draw_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, show_header=any(columns), pad_edge=False
    )
    for place, column in enumerate(columns):
        # The first column has the row's name, by which the rest is found: it stays whole.
        table.add_column(column, overflow="fold", no_wrap=place == 0)
    for row in rows:
        table.add_row(*(Text(cell, style=_style(cell)) for cell in row))
    Console(markup=False, emoji=False, highlight=False).print(table)


def _style(cell: str) -> str:
    return next((style for mark, style in _STYLES.items() if cell.startswith(mark)), "")


def _shows(text: str) -> bool:
    """Whether standard output can show these characters."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _plain_line(message: str) -> None:
    sys.stderr.write(f"{visible(message)}\n")
    sys.stderr.flush()


class _Counter:
    """A count with its rate on one line of the terminal, which goes when `stack` is left."""

    def __init__(self, label: str, before: int, stack: ExitStack) -> None:
        self._label = label
        self._before = before
        self._stack = stack
        self._start = time.monotonic()
        self._done = 0
        self._progress: Progress | None = None

    def add(self, items: int) -> None:
        """Count `items` more."""
        self._done += items
        if time.monotonic() - self._start < _DRAW_AFTER_SECONDS:
            return
        if self._progress is None:
            self._progress = self._stack.enter_context(_progress())
            self._task = self._progress.add_task(self._label, total=None, rate=0.0)
        rate = self._done / (time.monotonic() - self._start)
        self._progress.update(self._task, completed=self._before + self._done, rate=rate)


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.completed:,} {task.description}, {task.fields[rate]:,.0f}/s"),
        TimeElapsedColumn(),
        console=Console(stderr=True, highlight=False),
        transient=True,
    )
