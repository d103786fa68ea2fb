"""Statistics of the calibration texts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
from minilm.optimize import ExportedModel, calibrate
from minilm.optimize.calibration import statistics
from minilm.optimize.calibration.corpus import texts
from minilm.optimize.calibration.float64 import Float64Session
from minilm.optimize.calibration.hadamard import rotate_rows
from minilm.optimize.ir_utils import linears
from minilm.optimize.passes.base import tidy
from minilm.optimize.passes.source_graph import simplified
from minilm.runtime.errors import BuildFailed


def test_texts_are_cut_at_the_models_limit(exported: ExportedModel) -> None:
    (feed,) = calibrate(exported, ["a " * 500]).feeds
    assert feed["input_ids"].shape == (1, exported.config.max_tokens)
    assert feed["attention_mask"].all()


def test_float64_session_gives_what_onnx_runtime_gives(exported: ExportedModel) -> None:
    model = tidy(simplified(exported))
    options = ort.SessionOptions()
    options.log_severity_level = 3
    float32 = ort.InferenceSession(
        ir.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    float64 = Float64Session(model, ["sentence_embedding"])
    for feed in calibrate(exported, texts()[:5]).feeds:
        (wide,) = float64.run(feed)
        assert wide.dtype == np.float64
        (narrow,) = float32.run(["sentence_embedding"], dict(feed))
        np.testing.assert_allclose(wide, narrow, atol=1e-6)


def test_statistics_are_those_of_the_inputs(exported: ExportedModel) -> None:
    model = simplified(exported)
    linear = next(linears(model.graph))
    feeds = calibrate(exported, texts()[:20]).feeds
    seen = statistics.collect_statistics(model, feeds)[linear.name]
    session = Float64Session(model, [linear.input.name or ""])
    rows = np.concatenate([session.run(feed)[0][0] for feed in feeds])
    assert seen.tokens == len(rows)
    np.testing.assert_array_equal(seen.low, rows.min(axis=0))
    np.testing.assert_array_equal(seen.high, rows.max(axis=0))
    np.testing.assert_allclose(seen.gram, rows.T @ rows, rtol=1e-10, atol=1e-10)
    assert seen.peak == np.quantile(np.abs(rows).max(axis=1), 0.999)
    assert seen.rotated_peak == np.quantile(np.abs(rotate_rows(rows)).max(axis=1), 0.999)


def test_statistics_do_not_depend_on_workers(
    exported: ExportedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = simplified(exported)
    feeds = calibrate(exported, texts()[:60]).feeds
    monkeypatch.setattr(statistics, "_CHUNK_TOKENS", 100)
    name = next(linears(model.graph)).name
    grams = []
    for count in (1, 3):
        monkeypatch.setattr(statistics, "workers", lambda count=count: count)
        grams.append(statistics.collect_statistics(model, feeds)[name].gram)
    np.testing.assert_array_equal(grams[0], grams[1])


def test_affine_gram_is_the_gram_of_scaled_and_shifted_inputs() -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(3, 2, (50, 6))
    scale, shift = np.exp2(rng.integers(-3, 3, 6)), rng.normal(size=6)
    seen = statistics.ActivationStatistics(
        tokens=len(rows),
        low=rows.min(axis=0),
        high=rows.max(axis=0),
        total=rows.sum(axis=0),
        gram=rows.T @ rows,
        peak=0.0,
        rotated_peak=0.0,
    )
    moved = (rows - shift) / scale
    np.testing.assert_allclose(seen.affine_gram(scale, shift), moved.T @ moved, rtol=1e-9)


def test_nan_is_named(exported: ExportedModel, tmp_path: Path) -> None:
    model = ir.load(exported.graph)
    name = "embeddings.LayerNorm.weight"
    value = model.graph.initializers[name]
    assert value.const_value is not None
    value.const_value = ir.tensor(value.const_value.numpy() * np.float32(np.nan), name=name)
    broken = tmp_path / "nan.onnx"
    ir.save(model, broken)
    calibration = calibrate(replace(exported, graph=broken), ["a text"])
    with pytest.raises(BuildFailed, match="gives NaN or infinity"):
        _ = calibration.statistics
