import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minilm.verify import GateResult, Report, TextInfo, VariantReport

from benchmarks.harness.environments import ROOT
from benchmarks.peers.registry import PEERS, REFERENCE
from benchmarks.reporting.markdown import markdown, report
from benchmarks.reporting.results import Parity, Results, Row
from benchmarks.reporting.statistics import half_range, median_of, quantile, ratio
from benchmarks.suites import peers
from benchmarks.suites.parity import table
from benchmarks.suites.sessions import SHAPES, tables
from benchmarks.suites.throughput import compare


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.floats(0.001, 1))
def test_quantile_is_a_value_of_the_sample(values: list[float], share: float) -> None:
    found = quantile(values, share)
    assert found is not None
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9


def test_statistics_of_few_and_of_no_values() -> None:
    assert quantile(list(range(1, 101)), 0.99) == 99
    assert quantile([], 0.5) is median_of([]) is half_range([]) is None
    assert median_of([3.0, 1.0, 2.0]) == 2.0
    assert half_range([9.0, 10.0, 12.0]) == pytest.approx(0.15)
    assert ratio(3.0, 2.0) == 1.5
    assert ratio(None, 2.0) is ratio(1.0, 0.0) is ratio(1.0, None) is None
    with pytest.raises(ValueError, match="a share is over 0 and at most 1, got 0"):
        quantile([1.0], 0)


def test_markdown_escapes_bars_and_refuses_ragged_rows() -> None:
    assert markdown(("a", "b"), [("x|y", "1")]) == "| a | b |\n| --- | --- |\n| x\\|y | 1 |\n"
    with pytest.raises(ValueError, match="a row of 1 cells in a table of 2 columns"):
        markdown(("a", "b"), [("x",)])


def test_cosines_do_not_need_unit_length() -> None:
    a = np.array([[2.0, 0.0], [0.0, 3.0]], dtype=np.float32)
    b = np.array([[1.0, 0.0], [1.0, 1.0]], dtype=np.float32)
    found = compare(a, b)
    assert found.minimum == pytest.approx(0.5**0.5)
    assert found.mean == pytest.approx((1 + 0.5**0.5) / 2)


def example() -> Results:
    rows = []
    for place, entry in enumerate(PEERS):
        row = Row(entry=entry)
        if entry.name == "light-embed":
            row.failed = "load: ImportError: no such library"
        else:
            row.short_rates = [100.0 * (place + 1), 110.0 * (place + 1), 120.0 * (place + 1)]
            row.long_rates = [10.0, 11.0, 12.0]
            row.single_seconds = [0.001, 0.002, 0.003]
            row.short_texts, row.long_texts = 3000, 64
            row.start_seconds = [0.2, 0.3] if entry.start else []
            row.loaded_bytes, row.size_bytes, row.idle_share = 10**8, 2 * 10**8, 0.001
            row.short_parity = row.long_parity = Parity(mean=0.9993, minimum=0.996)
        rows.append(row)
    return Results(
        machine={"processor": "a processor", "cores allowed": "2"},
        texts="three thousand",
        rows=rows,
        choice=("minilm cpu/int8", "it is fast."),
        starts={"toolkit embed 'a text'": [0.2]},
        steps={"interpreter": [0.011]},
        stream_bytes=[10**8] * 100,
        stream_step=1000,
        ceiling={"int8": 2e12},
        operations=(3e8, 6e9),
    )


def test_report_has_every_row_and_names_skipped_peers() -> None:
    text = report(example())
    speed = text.split("## Parity")[0]
    for entry in PEERS:
        assert (f"| {entry.name} |" in speed) == (entry.name != "light-embed")
    assert "- light-embed left out: load: ImportError: no such library" in text
    torch = next(line for line in speed.splitlines() if line.startswith(f"| {REFERENCE} |"))
    assert torch.split(" | ")[1:3] == ["660 ± 9%", "1.00"]
    onnx = "sentence-transformers onnx int8"
    assert f"| short texts/s | minilm native/int8 | {onnx} | 0.143 |" in text
    assert "| 100,000 | 100 |" in text
    assert "load(path) takes minilm cpu/int8 here. it is fast." in text


def test_report_without_results() -> None:
    results = Results(machine={}, texts="none", rows=[])
    assert report(results).startswith("# Beside its peers\n")


def test_write_creates_report_data_and_plot(tmp_path: Path) -> None:
    peers.write(example(), tmp_path / "results")
    assert (tmp_path / "results" / "peers.md").read_text("utf-8") == report(example())
    data = json.loads((tmp_path / "results" / "peers.json").read_text("utf-8"))
    assert data["rows"][0]["entry"]["name"] == PEERS[0].name
    assert (tmp_path / "results" / "peers.png").stat().st_size > 10_000


def test_session_tables_compare_each_pair() -> None:
    seconds = {(name, s): [t] for s in SHAPES for name, t in (("x/a.onnx", 1.0), ("x/b.onnx", 2.0))}
    text = tables(seconds)
    assert "| x/a.onnx | 1.00 / 1.00 / 1.00 | 2.00 / 2.00 / 2.00 |" in text
    assert "| x/b.onnx | 0.50 / 0.50 / 0.50 | 1.00 / 1.00 / 1.00 |" in text
    assert "| x/a.onnx | 0.5k ± 0% | 2.0k ± 0% | 0.0k ± 0% |" in text


def gate(name: str, figure: float) -> GateResult:
    return GateResult(
        name=name, passed=True, figure=figure, threshold=0, comparison=">=", meaning=""
    )


def test_parity_table_shows_gate_figures_and_what_was_not_measured() -> None:
    variant = VariantReport(
        name="cpu/int8",
        gates=(gate("batch-invariance", 1), gate("top10", 0.9731), gate("kendall", 0.99)),
        cosines=(0.9994, 0.9975, 0.9981),
        size_bytes=1,
    )
    infos = [TextInfo(text="a", category=kind, tokens=1) for kind in ("short", "short", "long")]
    found = Report(
        artifact="bundle",
        model="model",
        reference="PyTorch",
        policy="built-in",
        gates=(),
        variants=(variant,),
        corpus=tuple(infos),
    )
    assert table(found).splitlines()[2] == (
        "| cpu/int8 | 0.99833 | 0.9975 | 0.9981 | 1.00000 | not measured | 0.97310 | not measured |"
    )


def test_every_peer_has_a_module_and_requirements() -> None:
    for entry in PEERS:
        assert (ROOT / "benchmarks" / "peers" / f"{entry.module}.py").is_file()
        requirements = ROOT / "benchmarks" / "peers" / "requirements" / f"{entry.environment}.txt"
        assert entry.ours or requirements.is_file()
        assert entry.start or entry.note
        compile(entry.start, entry.name, "exec")
    assert len({entry.name for entry in PEERS}) == len(PEERS)
