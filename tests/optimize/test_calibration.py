"""Calibration texts and statistics."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from minilm.optimize import Exported, calibration
from minilm.optimize.passes.graph import linears
from minilm.runtime.errors import BuildFailed, SourceError
from minilm.verify import corpus


def test_corpus_shares_no_text_with_verification() -> None:
    assert len(calibration.texts()) == 384
    assert not set(calibration.texts()) & set(corpus.texts())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has 0 texts, at least 32 are needed"),
        (b"one\n\ntwo\n", "has 2 texts, at least 32 are needed"),
        (b"\xff\xfe\x00text", "is not UTF-8 text (byte 0): give one text a line"),
        (b"a\0b\n" * 40, "is binary: give UTF-8 text, one text a line"),
    ],
)
def test_bad_file(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "texts"
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        calibration.read_texts(path)
    assert str(caught.value) == f"calibration file {path} {message}"
    assert caught.value.exit_code == 5


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot read calibration file .*: No such file"):
        calibration.read_texts(tmp_path / "none")


def test_own_file(tmp_path: Path) -> None:
    path = tmp_path / "texts"
    path.write_text("\n".join(f"text {n}" for n in range(40)), encoding="utf-8")
    assert len(calibration.read_texts(path)) == 40


def test_texts_are_cut_at_the_models_limit(exported: Exported) -> None:
    (feed,) = calibration.feeds(exported.tokenizer, ["a " * 500], exported.max_tokens)
    assert feed["input_ids"].shape == (1, exported.max_tokens)
    assert feed["attention_mask"].all()


def test_statistics_do_not_depend_on_blocks(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ir.load(exported.graph)
    values = [next(linears(model.graph)).input]
    inputs = calibration.feeds(exported.tokenizer, calibration.texts()[:20], exported.max_tokens)
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
