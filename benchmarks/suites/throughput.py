"""Throughput, latency, memory and parity: every peer loaded, then round after round in turn."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.datasets import Texts, thinned
from benchmarks.harness.client import Client, WorkerError
from benchmarks.harness.environments import MODELS, ROOT, child_environment
from benchmarks.peers.registry import REFERENCE
from benchmarks.reporting.results import Parity, Row

__all__ = ["RoundOptions", "compare", "measure", "stream"]

_SLOW_SECONDS: Final = 1.2
"""A peer that would take longer for a set in a round gets every second, third, … text of it."""
_PARITY_TEXTS: Final = {"short": 1000, "long": 16}
"""Texts at most whose vectors are compared: the same ones for every peer."""
_SINGLE_TEXTS: Final = 60
_IDLE_SECONDS: Final = 10.0

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class RoundOptions:
    """How a run is made.

    Attributes:
        bundle: of this project.
        rounds: that are counted.
        say: called with a line on each step.
    """

    bundle: Path
    rounds: int
    say: Callable[[str], None]


@dataclass(frozen=True)
class _Runner:
    """A row and the process that is measured for it."""

    row: Row
    client: Client


def measure(
    rows: Sequence[Row], pythons: Mapping[str, Path], texts: Texts, options: RoundOptions
) -> None:
    """Fill `rows`; a row whose peer fails gets the reason.

    Args:
        rows: those that have failed already are passed by.
        pythons: environment to its Python.
        texts: to embed.
        options: how.
    """
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        runners = []
        for row in rows:
            if not row.failed:
                options.say(f"loading {row.entry.name}")
                python = pythons[row.entry.environment]
                client = stack.enter_context(Client(python, ROOT, child_environment()))
                runners.append(_Runner(row, client))
        # The reference first: the others are compared with its vectors.
        runners.sort(key=lambda runner: runner.row.entry.name != REFERENCE)
        truth: dict[str, Vectors] = {}
        for runner in runners:
            _attempt(runner, lambda r: _prepare(r, texts, options, Path(folder), truth))
        _idle([r for r in runners if not r.row.failed])
        for number in range(options.rounds):
            options.say(f"round {number + 1} of {options.rounds}")
            for runner in runners if number % 2 == 0 else reversed(runners):
                if not runner.row.failed:
                    _attempt(runner, _round)
        for runner in runners:
            if not runner.row.failed:
                runner.row.final_bytes = runner.client.ask("usage")["resident_bytes"]


def stream(
    row: Row, python: Path, texts: Sequence[str], bundle: Path, count: int
) -> tuple[list[int], int]:
    """Resident bytes of a fresh process of `row` after each block of `count` texts; the block."""
    with Client(python, ROOT, child_environment(), timeout_seconds=1200) as client:
        _load(client, row, bundle)
        client.ask("texts", name="short", texts=list(texts))
        found = client.ask("stream", name="short", count=count)
    return [size for size in found["resident_bytes"] if size is not None], found["step"]


def compare(vectors: Vectors, truth: Vectors) -> Parity:
    """Cosines of rows: float32, (texts, dimension) both."""
    a, b = vectors.astype(np.float64), truth.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = np.einsum("ij,ij->i", a, b) / lengths
    return Parity(mean=float(cosines.mean()), minimum=float(cosines.min()))


def _attempt(runner: _Runner, step: Callable[[_Runner], None]) -> None:
    try:
        step(runner)
    except WorkerError as error:
        runner.row.failed = str(error)
        runner.client.close()


def _load(client: Client, row: Row, bundle: Path) -> dict[str, Any]:
    files = MODELS / row.entry.folder if row.entry.folder else bundle
    return client.ask(
        "load", module=row.entry.module, files=str(files), options=dict(row.entry.options)
    )


def _prepare(
    runner: _Runner, texts: Texts, options: RoundOptions, folder: Path, truth: dict[str, Vectors]
) -> None:
    """Load a peer, compare its vectors, find how many texts it can take in a round."""
    row, client = runner.row, runner.client
    loaded = _load(client, row, options.bundle)
    row.about, row.loaded_bytes = loaded["about"], loaded["resident_bytes"]
    parities: dict[str, Parity] = {}
    counts: dict[str, int] = {}
    for name, every in (("short", texts.short), ("long", texts.long)):
        sample = every[:: -(-len(every) // _PARITY_TEXTS[name])]
        client.ask("texts", name=name, texts=list(sample[:8]))
        client.ask("encode", name=name)
        client.ask("texts", name=name, texts=list(sample))
        path = folder / "vectors.npy"
        seconds = client.ask("encode", name=name, path=str(path))["seconds"]
        vectors = np.load(path)
        if row.entry.name == REFERENCE:
            truth[name] = vectors
        if name in truth:
            parities[name] = compare(vectors, truth[name])
        step = thinned(every, seconds * len(every) / len(sample), _SLOW_SECONDS)
        client.ask("texts", name=name, texts=list(every[::step]))
        counts[name] = len(every[::step])
    row.short_texts, row.long_texts = counts["short"], counts["long"]
    row.short_parity, row.long_parity = parities.get("short"), parities.get("long")


def _round(runner: _Runner) -> None:
    row, client = runner.row, runner.client
    row.short_rates.append(row.short_texts / client.ask("encode", name="short")["seconds"])
    row.long_rates.append(row.long_texts / client.ask("encode", name="long")["seconds"])
    row.single_seconds += client.ask("singly", name="short", count=_SINGLE_TEXTS)["seconds"]


def _idle(runners: Sequence[_Runner]) -> None:
    """All loaded, nobody asked: what each uses of a core."""
    before = [runner.client.ask("usage")["cpu_seconds"] for runner in runners]
    time.sleep(_IDLE_SECONDS)
    for runner, used in zip(runners, before, strict=True):
        after = runner.client.ask("usage")["cpu_seconds"]
        runner.row.idle_share = (after - used) / _IDLE_SECONDS
