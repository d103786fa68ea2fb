"""Statistics of the calibration texts."""

import numpy as np
import onnx_ir as ir
import pytest
from minilm.optimize import Exported, calibration
from minilm.optimize.corpus import texts
from minilm.optimize.passes.graph import linears
from minilm.runtime.errors import BuildFailed


def test_texts_are_cut_at_the_models_limit(exported: Exported) -> None:
    (feed,) = calibration.feeds(exported.tokenizer, ["a " * 500], exported.max_tokens)
    assert feed["input_ids"].shape == (1, exported.max_tokens)
    assert feed["attention_mask"].all()


def test_statistics_do_not_depend_on_blocks(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ir.load(exported.graph)
    values = [next(linears(model.graph)).input]
    inputs = calibration.feeds(exported.tokenizer, texts()[:20], exported.max_tokens)
    (whole,) = calibration.statistics(model, values, inputs).values()
    monkeypatch.setattr(calibration, "_BLOCK_TOKENS", 50)
    (blocks,) = calibration.statistics(model, values, inputs).values()
    np.testing.assert_array_equal(whole.low, blocks.low)
    np.testing.assert_array_equal(whole.high, blocks.high)
    np.testing.assert_allclose(whole.gram, blocks.gram, rtol=1e-4, atol=1e-3)
    assert whole.peak == blocks.peak


def test_nan_is_named(exported: Exported) -> None:
    model = ir.load(exported.graph)
    name = "embeddings.LayerNorm.weight"
    value = model.graph.initializers[name]
    assert value.const_value is not None
    value.const_value = ir.tensor(value.const_value.numpy() * np.float32(np.nan), name=name)
    inputs = calibration.feeds(exported.tokenizer, ["a text"], exported.max_tokens)
    with pytest.raises(BuildFailed, match="gives NaN or infinity"):
        calibration.statistics(model, [next(linears(model.graph)).input], inputs)
