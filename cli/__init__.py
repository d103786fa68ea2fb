"""The `toolkit` command.

`main` is the entry point. It starts nothing that the invoked command does not need: each command is
a module of `minilm.cli.commands`, found by its name, and imports heavy things in its function.
"""

import io
import os
import sys
import warnings
from collections.abc import Sequence
from importlib.util import find_spec

from minilm.cli.signals import Terminated, terminated_as_interrupted

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the `toolkit` command.

    Args:
        argv: arguments after the program's name; those of the process if None.

    Returns:
        The exit code: 0, that of a `ToolkitError`, or one of `minilm.cli.failures`.
    """
    _open_closed_streams()
    if any(find_spec(name) is None for name in ("typer", "rich")):
        message = 'the toolkit command needs typer and rich: pip install "minilm-toolkit[cli]"'
        sys.stderr.write(f"error: {message}\n")
        return 4
    warnings.showwarning = _show_warning
    if isinstance(sys.stdout, io.TextIOWrapper):  # a text that the terminal cannot show is no error
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with terminated_as_interrupted():
            from minilm.cli.app import app

            app(list(argv) if argv is not None else None, prog_name="toolkit")
    except KeyboardInterrupt as stop:  # before a command was running; `failures` has the other case
        sys.stderr.write("error: interrupted\n")
        return stop.exit_code if isinstance(stop, Terminated) else 130
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    return 0


def _open_closed_streams() -> None:
    """Give standard streams that the caller closed to the null device.

    Python leaves them None, and their numbers free: native code that writes to number 2 would write
    into whatever file was opened next.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            lowest = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(lowest, mode, encoding="utf-8"))


def _show_warning(message: Warning | str, *_place: object, **_more: object) -> None:
    """A warning on one line, with no file and line of ours: these mean nothing to a user."""
    from minilm.runtime.display import visible

    sys.stderr.write(f"warning: {visible(str(message))}\n")
