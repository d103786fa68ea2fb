"""A run as Markdown."""

from collections.abc import Iterable, Sequence
from typing import Final

from benchmarks.peers.registry import REFERENCE
from benchmarks.reporting.results import Parity, Results, Row
from benchmarks.reporting.statistics import half_range, median_of, quantile, ratio

__all__ = ["heading", "markdown", "report"]

_NOTHING: Final = "\N{EN DASH}"
_MB: Final = 1e6
_METHOD: Final = (
    "Whole pipeline, tokenization included; medians of {rounds} rounds in which the peers take "
    "turns; ± is half the range. A start is a whole process, from before it is made to its end."
)


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar in a cell is escaped.

    Raises:
        ValueError: a row has another number of cells than there are columns.
    """
    lines = [list(columns), ["---"] * len(columns)]
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"a row of {len(row)} cells in a table of {len(columns)} columns")
        lines.append([cell.replace("|", r"\|") for cell in row])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def heading(title: str, facts: Iterable[tuple[str, str]]) -> str:
    """A title and a list of facts under it."""
    return f"# {title}\n\n" + "".join(f"- {name}: {value}\n" for name, value in facts)


def report(results: Results) -> str:
    """The whole report."""
    minutes = ("took", f"{results.seconds / 60:.1f} minutes")
    parts = [
        heading(
            "Beside its peers",
            [*results.machine.items(), ("texts", results.texts), minutes],
        ),
        f"## Speed\n\n{_METHOD.format(rounds=_rounds(results))}\n\n{_speed(results)}",
        f"## Parity, memory, size\n\n{_rest(results)}",
        f"## Ratios\n\n{_ratios(results)}",
    ]
    if results.starts or results.steps:
        parts.append(f"## Starts of this project\n\n{_starts(results)}")
    if results.stream_bytes:
        parts.append(f"## Memory of native/int8 over a stream\n\n{_stream(results)}")
    if results.ceiling:
        parts.append(f"## Share of the machine's ceiling\n\n{_ceiling(results)}")
    parts.append(f"## Notes\n\n{_notes(results)}")
    return "\n".join(parts)


def _speed(results: Results) -> str:
    base = results.row(REFERENCE)
    torch_short = median_of(base.short_rates) if base else None
    columns = (
        "peer",
        "short texts/s",
        "torch = 1",
        "long texts/s",
        "one short text, ms: median",
        "p99",
        "process start to first vector and exit, s",
    )
    rows = []
    for row in results.measured():
        short, single = median_of(row.short_rates), median_of(row.single_seconds)
        cells = (
            _with_spread(row.short_rates, 0),
            _number(ratio(short, torch_short), 2),
            _with_spread(row.long_rates, 1),
            _number(single, 2, 1e3),
            _number(quantile(row.single_seconds, 0.99), 2, 1e3),
            _with_spread(row.start_seconds, 3),
        )
        rows.append((row.entry.name, *cells))
    return markdown(columns, rows)


def _rest(results: Results) -> str:
    columns = (
        "peer",
        "cosine, short: mean",
        "minimum",
        "cosine, long: mean",
        "minimum",
        "memory after load, MB",
        "after the rounds, MB",
        "idle, share of a core",
        "installed, MB",
    )
    rows = [
        (
            row.entry.name,
            *_cosines(row.short_parity),
            *_cosines(row.long_parity),
            _number(row.loaded_bytes, 0, 1 / _MB),
            _number(row.final_bytes, 0, 1 / _MB),
            _number(row.idle_share, 1, 100, "%"),
            _number(row.size_bytes, 0, 1 / _MB),
        )
        for row in results.measured()
    ]
    return markdown(columns, rows)


def _ratios(results: Results) -> str:
    ours = results.row(results.choice[0]) or _best(results, ours=True)
    int8 = results.row("minilm native/int8")
    peer_short = _best(results, ours=False)
    peer_long = _best(results, ours=False, long=True)
    peer_single = min(
        (row for row in results.measured() if not row.entry.ours and row.single_seconds),
        key=lambda row: median_of(row.single_seconds) or 0.0,
        default=None,
    )
    torch, fast = results.row(REFERENCE), results.row("fastembed")
    onnx = results.row("sentence-transformers onnx int8")
    graph = results.row("minilm cpu/int8")
    best, best_long = _best(results, ours=True), _best(results, ours=True, long=True)
    pairs = (
        ("short texts/s", best, peer_short, "short_rates"),
        ("short texts/s", best, torch, "short_rates"),
        ("short texts/s", best, fast, "short_rates"),
        ("short texts/s", int8, onnx, "short_rates"),
        ("short texts/s", int8, graph, "short_rates"),
        ("long texts/s", best_long, peer_long, "long_rates"),
        ("long texts/s", int8, graph, "long_rates"),
        ("one short text, median", ours, peer_single, "single_seconds"),
        ("start", int8, fast, "start_seconds"),
        ("start", int8, torch, "start_seconds"),
        ("installed size", int8, torch, "size_bytes"),
        ("installed size", int8, graph, "size_bytes"),
    )
    rows = []
    for what, a, b, name in pairs:
        if a and b:
            value = ratio(_value(a, name), _value(b, name))
            rows.append((what, a.entry.name, b.entry.name, _number(value, 3)))
    return markdown(("what", "this", "to that", "ratio"), rows)


def _starts(results: Results) -> str:
    rows = [(name, _with_spread(values, 3)) for name, values in results.starts.items()]
    whole = markdown(("whole process", "s"), rows)
    budget = [(name, _number(median_of(v), 1, 1e3)) for name, v in results.steps.items()]
    return f"{whole}\n{markdown(('step of a start of native/int8, hashes checked', 'ms'), budget)}"


def _stream(results: Results) -> str:
    sizes, step = results.stream_bytes, results.stream_step
    marks = [n for n in (1, 10, 20, 50, 100, 200, 500) if n < len(sizes)] + [len(sizes)]
    rows = [(f"{n * step:,}", _number(sizes[n - 1], 0, 1 / _MB)) for n in marks]
    return markdown(("after texts", "resident, MB"), rows)


def _ceiling(results: Results) -> str:
    rows = []
    for row in results.measured():
        precision = row.entry.name.rpartition("/")[2]
        if row.entry.ours and precision in results.ceiling:
            rate = results.ceiling[precision]
            short, long = (
                ratio((median_of(rates) or 0.0) * work, rate)
                for rates, work in zip(
                    (row.short_rates, row.long_rates), results.operations, strict=True
                )
            )
            cells = (_number(rate, 2, 1e-12), _number(short, 0, 100, "%"))
            rows.append((row.entry.name, *cells, _number(long, 0, 100, "%")))
    columns = ("variant", "a large product, TOP/s", "short: share of it", "long: share of it")
    return markdown(columns, rows)


def _notes(results: Results) -> str:
    name, why = results.choice
    notes = [f"load(path) takes {name} here. {why}"] if name else []
    notes += results.notes
    for row in results.rows:
        if row.failed:
            notes.append(f"{row.entry.name} left out: {row.failed}")
        elif row.entry.note:
            notes.append(f"{row.entry.name}: {row.entry.note}")
    full = max((row.short_texts for row in results.measured()), default=0)
    thin = [row for row in results.measured() if row.short_texts < full]
    if thin:
        said = ", ".join(f"{r.entry.name} {r.short_texts:,} and {r.long_texts}" for r in thin)
        notes.append(f"slower peers were given evenly spread texts of the sets: {said}")
    return "".join(f"- {note}\n" for note in notes)


def _best(results: Results, *, ours: bool, long: bool = False) -> Row | None:
    name = "long_rates" if long else "short_rates"
    rows = [row for row in results.measured() if row.entry.ours == ours]
    return max(rows, key=lambda row: _value(row, name) or 0.0, default=None)


def _value(row: Row, name: str) -> float | None:
    value: list[float] | float | None = getattr(row, name)
    return median_of(value) if isinstance(value, list) else value


def _rounds(results: Results) -> int:
    return max((len(row.short_rates) for row in results.measured()), default=0)


def _number(value: float | None, digits: int, scale: float = 1.0, unit: str = "") -> str:
    return _NOTHING if value is None else f"{value * scale:,.{digits}f}{unit}"


def _with_spread(values: Sequence[float], digits: int) -> str:
    half = half_range(values)
    return _NOTHING if half is None else f"{_number(median_of(values), digits)} ± {half:.0%}"


def _cosines(parity: Parity | None) -> tuple[str, str]:
    if parity is None:
        return _NOTHING, _NOTHING
    return f"{parity.mean:.5f}", f"{parity.minimum:.5f}"
