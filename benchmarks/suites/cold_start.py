"""Starts of whole processes, in turn, and the steps of this project's own."""

import json
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.harness.environments import MODELS, child_environment
from benchmarks.peers.registry import OURS
from benchmarks.reporting.results import Row

__all__ = ["StartError", "commands", "extra_commands", "steps", "time_process", "time_starts"]

_TIMEOUT_SECONDS: Final = 120.0
_BUNDLE_VARIABLE: Final = "MINILM_BUNDLE"


class StartError(RuntimeError):
    """A process that should give a vector failed; the message has its last line."""


def commands(
    rows: Sequence[Row], pythons: Mapping[str, Path], bundle: Path
) -> dict[str, list[str]]:
    """Name of a row to the command that starts its peer and embeds one text."""
    found = {}
    for row in rows:
        entry = row.entry
        if entry.start and not row.failed:
            files = MODELS / entry.folder if entry.folder else bundle
            found[entry.name] = [str(pythons[entry.environment]), "-c", entry.start, str(files)]
    return found


def extra_commands(pythons: Mapping[str, Path], bundle: Path) -> dict[str, list[str]]:
    """Starts that are no row: the loader's own choice, the command line, the bare interpreter."""
    python = pythons[OURS]
    chosen = "import sys; from minilm.runtime import load; load(sys.argv[1]).encode('a text')"
    return {
        "minilm, variant that load() takes": [str(python), "-c", chosen, str(bundle)],
        "toolkit embed 'a text'": [str(python.with_name("toolkit")), "embed", "a text"],
        "python -c pass": [str(python), "-c", "pass"],
    }


def time_starts(
    named: Mapping[str, Sequence[str]], bundle: Path, rounds: int
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Run every command once a round; seconds by name, and what failed with the reason."""
    seconds: dict[str, list[float]] = {name: [] for name in named}
    failed: dict[str, str] = {}
    for _ in range(rounds):
        for name, command in named.items():
            if name not in failed:
                try:
                    seconds[name].append(time_process(command, bundle))
                except StartError as error:
                    failed[name] = str(error)
    return seconds, failed


def time_process(command: Sequence[str], bundle: Path) -> float:
    """Seconds from before a process is made until it has ended.

    Raises:
        StartError: it failed or took too long.
    """
    environment = {**child_environment(), _BUNDLE_VARIABLE: str(bundle)}
    # An empty folder: `python -c` looks for modules in the current one first.
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        try:
            code = subprocess.call(
                command,
                cwd=folder,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=said,
                timeout=_TIMEOUT_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise StartError(f"no end after {_TIMEOUT_SECONDS:.0f} s") from error
        seconds = time.perf_counter() - start
        if code:
            said.seek(0)
            lines = said.read().decode("utf-8", "replace").split("\n")
            last = next((line for line in reversed(lines) if line.strip()), "it wrote nothing")
            raise StartError(f"exit code {code}: {last.strip()}")
    return seconds


def steps(python: Path, bundle: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of each step of a start of native/int8, by name.

    Raises:
        StartError: the process failed.
    """
    script = Path(__file__).with_name("cold_start_steps.py")
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        started = time.monotonic_ns()
        done = subprocess.run(
            [str(python), "-I", str(script), str(bundle), str(started)],
            env=child_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        ended = time.monotonic_ns()
        if done.returncode:
            raise StartError(f"exit code {done.returncode}: {done.stderr.strip()[-300:]}")
        said = json.loads(done.stdout)
        named = {**said["seconds"], "exit": (ended - said["ended"]) / 1e9}
        named["whole process"] = (ended - started) / 1e9
        for name, seconds in named.items():
            found.setdefault(name, []).append(seconds)
    return found
