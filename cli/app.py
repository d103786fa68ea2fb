"""The table of commands."""

import copy
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any, Final, NoReturn

import typer
from minilm.cli.failures import USAGE, flush_output, report
from minilm.runtime.suggest import did_you_mean
from typer.core import TyperGroup

__all__ = ["COMMANDS", "app"]

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
    "package",
    "push",
)
"""Each is a module of `minilm.cli.commands` with a function `command`, imported when invoked."""


_LOGGING: Final = ("verbose", "log_json")
"""Names of the options of `root` that each command takes, too."""


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
            command = typer.main.get_command(single)
            command.params += [_also_after(each) for each in self.params if each.name in _LOGGING]
            return command
        if not ctx.resilient_parsing:
            meant = did_you_mean(cmd_name, COMMANDS)
            ctx.fail(f"no command {cmd_name!r}{meant}; there are: {', '.join(COMMANDS)}")
        return None

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        *_: Any,
        **__: Any,
    ) -> NoReturn:
        """Run a command and end the process; `minilm.cli.failures` explains what went wrong."""
        arguments = sys.argv[1:] if args is None else list(args)
        if arguments[:1] == ["help"]:
            arguments = [*arguments[1:2], "--help"]
        try:
            with self.make_context(prog_name or "toolkit", arguments) as ctx:
                if not arguments:
                    typer.echo(ctx.get_help(), err=True)
                    ctx.exit(USAGE)
                self.invoke(ctx)
            code = 0
        except typer.Exit as stop:
            code = stop.exit_code
        except SystemExit:
            raise
        except BaseException as error:  # noqa: BLE001 - the one catch at the top
            code = report(error)
        sys.exit(flush_output(code))


def _also_after(option: Any) -> Any:
    """An option of `root` for a command of its own: -v works before and after the command."""

    def configure_log(ctx: Any, _: Any, value: int) -> None:
        if value:
            ctx.meta[f"minilm.{option.name}"] = value
            asked = ctx.meta.get("minilm.verbose", 0), ctx.meta.get("minilm.log_json", False)
            _configure_log(*asked)

    copied = copy.copy(option)
    copied.expose_value = False
    copied.callback = configure_log
    return copied


def _configure_log(verbose: int, as_json: bool) -> None:
    from minilm.cli.logs import configure

    configure(verbose, as_json=as_json)


app = typer.Typer(
    cls=_Commands,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
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
            "--version", "-V", help="Print the version.", is_eager=True, callback=_print_version
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
        _configure_log(verbose, log_json)
