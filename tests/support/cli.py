"""The `toolkit` command, in this process and as a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from minilm.cli.app import app
from typer.testing import CliRunner, Result

RUN = "import sys; from minilm.cli import main; sys.exit(main())"


def toolkit(*arguments: str | Path, stdin: str | bytes | None = None) -> Result:
    """Invoke the command in this process: quick, and its parts can be replaced."""
    texts = [str(argument) for argument in arguments]
    return CliRunner().invoke(app, texts, input=stdin, prog_name="toolkit")


def run_toolkit(
    *arguments: str | Path, code: str = RUN, stdin: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command as a process, with `environment` on top of this one's."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        input=stdin,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
