"""A hook of MkDocs: pages of the reference that are made from the code, and where the code is."""

import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

ROOT: Final = Path(__file__).parents[1]
WIDTH: Final = 100


@event_priority(100)  # before mkdocstrings reads its options
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Show mkdocstrings the packages alone: below the root it would read the environment, too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = project["tool"]["setuptools"]["packages"]
    namespace = Path(_SCRATCH.name) / "minilm"
    namespace.mkdir(exist_ok=True)
    for folder in dict.fromkeys(name.split(".")[1] for name in packages):
        if not (namespace / folder).is_symlink():
            (namespace / folder).symlink_to(ROOT / folder, target_is_directory=True)
    handlers = config.plugins["mkdocstrings"].config["handlers"]
    handlers["python"]["paths"] = [_SCRATCH.name]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those on disk."""
    for path, make in PAGES.items():
        files.append(File.generated(config, path, content=make()))
    return files


def command_line() -> str:
    """`--help` of the command and of each subcommand."""
    from minilm.cli.app import COMMANDS, app
    from typer.main import get_command

    group: Any = get_command(app)
    parts = ["# Command line", "", "What `--help` prints.", "", *_help(group, "toolkit")]
    for name in COMMANDS:
        command = group.get_command(None, name)
        parts += [f"## toolkit {name}", "", *_help(command, f"toolkit {name}")]
    return "\n".join(parts)


def gates() -> str:
    """Every gate with its thresholds."""
    from minilm.verify.gates import GATES

    parts = ["# Gates", "", "Each gate by the name that reports and policies use.", ""]
    for gate in GATES.values():
        thresholds: dict[str, Any] = dict(gate.thresholds) or {"*": gate.required}
        parts += [f"## {gate.name}", "", f"{_sentence(gate.meaning)}", ""]
        parts += ["| variants | required |", "|---|---|"]
        for kind, threshold in thresholds.items():
            shown = "all others" if kind == "*" and len(thresholds) > 1 else kind
            parts.append(f"| {'all' if shown == '*' else shown} | {gate.comparison} {threshold} |")
        parts += ["", f"If it fails: {gate.advice}.", ""]
    return "\n".join(parts)


def exit_codes() -> str:
    """README's table of exit codes, which a test compares with the code."""
    readme = (ROOT / "README.md").read_text("utf-8")
    table = readme.split("| code | meaning |", 1)[1].split("\n\n", 1)[0]
    return f"# Exit codes\n\nOf every `toolkit` command.\n\n| code | meaning |{table}\n"


def _help(command: Any, name: str) -> list[str]:
    context = command.make_context(name, [], resilient_parsing=True, terminal_width=WIDTH)
    return ["```text", context.get_help().strip(), "```", ""]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


_SCRATCH: Final = tempfile.TemporaryDirectory(prefix="minilm-docs-")

PAGES: Final[dict[str, Callable[[], str]]] = {
    "reference/command-line.md": command_line,
    "reference/gates.md": gates,
    "reference/exit-codes.md": exit_codes,
}
