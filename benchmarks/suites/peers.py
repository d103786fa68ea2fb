"""The run of `make bench`: environments, models, every measure, the report."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from minilm.runtime import manifest

from benchmarks.datasets import CALIBRATION, Texts, built_in, fill, read_texts
from benchmarks.harness.client import Client, WorkerError
from benchmarks.harness.environments import ROOT, SetupError, child_environment, convert, ensure
from benchmarks.peers.registry import OURS, PEERS, PeerConfig
from benchmarks.reporting import machine
from benchmarks.reporting.markdown import report
from benchmarks.reporting.plot import draw
from benchmarks.reporting.results import Results, Row
from benchmarks.suites import cold_start, throughput

__all__ = ["Options", "run", "texts_of", "write"]

_LONG_TEXTS: Final = 64
_STARTED: Final = time.monotonic()


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `make bench` can be told.

    Attributes:
        bundle: of this project.
        texts: file of texts; None for the built-in ones.
        limit: short texts, at most; None for all.
        rounds: that are counted.
        stream_texts: of the memory test; 0 leaves it out.
        only: parts of the names of the rows to run; empty for all.
        output: folder for the results.
    """

    bundle: Path
    texts: Path | None
    limit: int | None
    rounds: int
    stream_texts: int
    only: tuple[str, ...]
    output: Path


def run(options: Options) -> Results:
    """Measure everything, write the report, return it.

    Raises:
        InvalidArtifact: there is no bundle.
        TextsError: the file of texts cannot be used.
    """
    manifest.read(options.bundle)  # a missing bundle is said before anything is installed
    _say("environments")
    rows = [Row(entry=entry) for entry in _chosen(options.only)]
    pythons = _set_up(rows)
    texts, lengths = texts_of(options.bundle, options.texts, options.limit)
    results = Results(machine=machine.describe(), texts=texts.source, rows=rows)
    results.operations = (machine.operations(lengths[0]), machine.operations(lengths[1]))
    start = time.perf_counter()
    if OURS in pythons:
        results.choice = _choice(pythons[OURS], options.bundle)
    how = throughput.RoundOptions(bundle=options.bundle, rounds=options.rounds, say=_say)
    throughput.measure(rows, pythons, texts, how)
    _say("starts")
    _starts(results, pythons, options)
    _say("sizes, memory over a stream, the machine's ceiling")
    for row in results.measured():
        if row.entry.requires:
            row.size_bytes = _size(pythons[row.entry.environment], row.entry.requires)
    int8 = results.row("minilm native/int8")
    if int8 is not None and options.stream_texts:
        python, count = pythons[OURS], options.stream_texts
        found = throughput.stream(int8, python, texts.short, options.bundle, count)
        results.stream_bytes, results.stream_step = found
    results.ceiling = machine.ceiling()
    results.seconds = time.perf_counter() - start
    write(results, options.output)
    return results


def texts_of(bundle: Path, file: Path | None, limit: int | None) -> tuple[Texts, tuple[int, int]]:
    """The texts, and the mean tokens of the short and of the long ones."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(bundle / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()

    def tokens_of(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    short = (built_in() if file is None else read_texts(file))[:limit]
    words = [word for text in short for word in text.split()]
    long = fill(words, _LONG_TEXTS, tokens_of)
    means = tuple(sum(map(tokens_of, t)) / len(t) + 2 for t in (short, long))
    origin = "the project's own sentences" if file is None else file.name
    source = (
        f"{len(short):,} short ones of {means[0]:.1f} tokens on average ({origin}), "
        f"{len(long)} long ones of {means[1]:.0f} made of their words"
    )
    return Texts(short=short, long=long, source=source), (round(means[0]), round(means[1]))


def write(results: Results, output: Path) -> None:
    """Write the report as Markdown and JSON, and the plot."""
    output.mkdir(parents=True, exist_ok=True)
    (output / "peers.md").write_text(report(results), encoding="utf-8")
    data = json.dumps(results.to_data(), indent=1)
    (output / "peers.json").write_text(data, encoding="utf-8")
    if not draw(results, output / "peers.png"):
        _say("no plot: matplotlib is not installed")


def _chosen(only: Sequence[str]) -> list[PeerConfig]:
    return [e for e in PEERS if not only or any(part in e.name for part in only)]


def _set_up(rows: Sequence[Row]) -> dict[str, Path]:
    """Pythons by environment; rows whose environment or models cannot be had are marked."""
    from minilm.convert import resolve

    pythons: dict[str, Path] = {}
    converter = "sentence-transformers"
    for name in dict.fromkeys([converter, *(row.entry.environment for row in rows)]):
        try:
            pythons[name] = ensure(name)
            if name == converter:
                convert(pythons[name], resolve(None).directory, CALIBRATION)
        except SetupError as error:
            for row in rows:
                needs_models = name == converter and row.entry.folder
                if row.entry.environment == name or needs_models:
                    row.failed = row.failed or str(error)
    return pythons


def _choice(python: Path, bundle: Path) -> tuple[str, str]:
    with Client(python, ROOT, child_environment()) as client:
        try:
            about = client.ask("load", module="minilm", files=str(bundle), options={})["about"]
        except WorkerError as error:
            return "", str(error)
    variant, _, why = about.partition(": ")
    return f"minilm {variant}", why


def _starts(results: Results, pythons: dict[str, Path], options: Options) -> None:
    named = cold_start.commands(results.rows, pythons, options.bundle)
    ours = cold_start.extra_commands(pythons, options.bundle) if OURS in pythons else {}
    seconds, failed = cold_start.time_starts({**ours, **named}, options.bundle, options.rounds)
    for row in results.rows:
        row.start_seconds = seconds.get(row.entry.name, [])
    results.starts = {name: seconds[name] for name in ours if name not in failed}
    for name, reason in failed.items():
        results.notes.append(f"no start of {name}: {reason}")
    if ours:
        try:
            results.steps = cold_start.steps(pythons[OURS], options.bundle, options.rounds)
        except cold_start.StartError as error:
            results.notes.append(f"no steps of a start: {error}")


def _size(python: Path, requirement: str) -> int | None:
    script = Path(__file__).with_name("install_size.py")
    done = subprocess.run(
        [str(python), "-I", str(script), requirement], capture_output=True, text=True, check=False
    )
    size: int | None = json.loads(done.stdout)["bytes"] if done.returncode == 0 else None
    return size


def _say(line: str) -> None:
    minutes, seconds = divmod(int(time.monotonic() - _STARTED), 60)
    print(f"{minutes}:{seconds:02} {line}", file=sys.stderr, flush=True)
