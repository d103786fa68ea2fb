"""The one place where an exception becomes a message and an exit code.

Every message is one line on standard error that begins with "error: "; only an internal error has
its traceback above.
"""

import errno
import os
import sys
import traceback
from contextlib import suppress
from typing import Any, Final

import typer
from minilm.cli.signals import Terminated
from minilm.runtime.display import visible
from minilm.runtime.errors import ToolkitError, UsageError
from minilm.runtime.suggest import did_you_mean

__all__ = [
    "CLOSED_PIPE",
    "EXHAUSTED",
    "INTERNAL",
    "INTERRUPTED",
    "IO_ERROR",
    "USAGE",
    "flush_output",
    "report",
]

USAGE: Final = 2
INTERNAL: Final = 70
"""EX_SOFTWARE of sysexits.h: 1 would read as a failed gate."""
EXHAUSTED: Final = 71
"""EX_OSERR of sysexits.h."""
IO_ERROR: Final = 74
"""EX_IOERR of sysexits.h."""
INTERRUPTED: Final = 130
CLOSED_PIPE: Final = 141
"""128 + SIGPIPE, as a shell reports for a program that the signal ended."""

_USAGE_ERROR: Final = typer.BadParameter.__mro__[1]
"""The class of all errors of typer's parser; typer exports only this one leaf of it."""

_EXHAUSTED_WORDS: Final = ("bad_alloc", "bad allocation", "failed to allocate", "start new thread")
"""Native code reports that it got no memory as a RuntimeError with one of these."""


def report(error: BaseException) -> int:
    """Write the message of an exception to standard error.

    Args:
        error: exception that ended a command.

    Returns:
        The exit code.
    """
    if isinstance(error, BrokenPipeError) or getattr(error, "errno", None) == errno.EPIPE:
        _discard_output()
        return CLOSED_PIPE
    lines, code = _explain(error)
    with suppress(OSError):  # standard error may be closed, too
        sys.stderr.writelines(f"{visible(line)}\n" for line in lines)
        sys.stderr.flush()
    return code


def flush_output(code: int) -> int:
    """Write what standard output has buffered, while a failure to do so can still be reported.

    Args:
        code: exit code of the command.

    Returns:
        `code`, or that of the failed write if it was 0.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        error.filename = error.filename or "standard output"
        failed = report(error)
        _discard_output()
        return code or failed
    return code


def _explain(error: BaseException) -> tuple[list[str], int]:
    """Lines of the message, and exit code."""
    above: list[str] = []
    if isinstance(error, ToolkitError):
        option = error.option if isinstance(error, UsageError) else None
        message, code = f"{option}: {error}" if option else str(error), error.exit_code
    elif isinstance(error, _USAGE_ERROR):
        message, code = _usage(error), USAGE
    elif isinstance(error, Terminated):
        message, code = f"ended by {error.signal.name}", error.exit_code
    elif isinstance(error, KeyboardInterrupt):
        message, code = "interrupted", INTERRUPTED
    elif isinstance(error, MemoryError) or _is_exhaustion(error):
        detail = f" ({error})" if str(error) else ""
        message, code = f"out of memory{detail}: free some, or use fewer --threads", EXHAUSTED
    elif isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        message, code = f"{error.strerror or error}{where}", IO_ERROR
    else:
        above = "".join(traceback.format_exception(error)).splitlines()
        message, code = _internal(error), INTERNAL
    return [*above, f"error: {message}"], code


def _usage(error: Any) -> str:
    """The words of typer's parser in our own form: the option, then what is wrong with it."""
    if isinstance(error, typer.BadParameter) and error.message:
        parameter = error.param
        hint = error.param_hint or (parameter.opts[0] if parameter is not None else None)
        if hint:
            return f"{hint}: {error.message.rstrip('.')}"
    message: str = error.format_message()
    if getattr(error, "option_name", None) and error.ctx is not None:
        known = [name for each in error.ctx.command.params for name in each.opts]
        message = f"{error.message}{did_you_mean(error.option_name, known)}"
    path = error.ctx.command_path if error.ctx is not None else "toolkit"
    return f"{message[:1].lower()}{message[1:].rstrip('.')}; see {path} --help"


def _is_exhaustion(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in _EXHAUSTED_WORDS)


def _internal(error: BaseException) -> str:
    from importlib.metadata import version
    from platform import platform, python_version

    return (
        f"internal error, {type(error).__name__}: {error}; please report it with the lines above "
        f"(minilm-toolkit {version('minilm-toolkit')}, Python {python_version()}, {platform()})"
    )


def _discard_output() -> None:
    """Let the interpreter flush what is left at its end into nothing, instead of complaining."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
