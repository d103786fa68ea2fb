"""The table of commands, and the one place where an error becomes a message and an exit code."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from minilm.runtime.errors import ToolkitError, UsageError
from typer.core import TyperGroup

__all__ = ["COMMANDS", "IO_ERROR", "app"]

COMMANDS: Final = (
    "build",
    "export",
    "optimize",
    "verify",
    "compare",
    "inspect",
    "embed",
    "similarity",
    "doctor",
)
"""Each is a module of `minilm.cli.commands` with a function `command`, imported when invoked."""

IO_ERROR: Final = 74
"""Exit code of a failed read or write (EX_IOERR of sysexits.h): 1 would read as a failed gate."""


class _Commands(TyperGroup):
    """The group of `COMMANDS`, each loaded when it is asked for."""

    # The class of `ctx` is private to typer, so it has no name here.
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer passes it
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in COMMANDS:
            function: Callable[..., None] = import_module(f"minilm.cli.commands.{cmd_name}").command
            single = typer.Typer(rich_markup_mode=None, add_completion=False)
            single.command(cmd_name)(function)
            return typer.main.get_command(single)
        if not ctx.resilient_parsing:
            ctx.fail(f"no command {cmd_name!r}; there are: {', '.join(COMMANDS)}")
        return None

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UsageError as error:
            if error.option is None:
                _fail(str(error), error.exit_code)
            raise typer.BadParameter(str(error), param_hint=error.option) from error
        except ToolkitError as error:
            _fail(str(error), error.exit_code)
        except BrokenPipeError:
            raise  # typer ends quietly: the reader has seen enough
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            _fail(f"{error.strerror or error}{where}", IO_ERROR)
        except KeyboardInterrupt:
            _fail("interrupted", 130)


app = typer.Typer(
    cls=_Commands,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"minilm-toolkit {version('minilm-toolkit')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[  # noqa: ARG001 - the callback acts on it
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
    verbose: Annotated[
        int,
        typer.Option("-v", "--verbose", count=True, help="Log each stage; -vv: in detail."),
    ] = 0,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Log each stage as a line of JSON on stderr.")
    ] = False,
) -> None:
    """Build, verify and use small, fast artifacts of all-MiniLM-L6-v2.

    \b
    Example:
      toolkit build
      toolkit embed "a text"
    """
    if verbose or log_json:
        from minilm.cli.logs import configure

        configure(verbose, as_json=log_json)


def _fail(message: str, code: int) -> None:
    sys.stderr.write(f"error: {message}\n")
    raise typer.Exit(code)
