"""The search for the layers that stay in floating point."""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest
from minilm.optimize import ExportedModel, build_variant, calibrate
from minilm.optimize.calibration.corpus import texts
from minilm.optimize.calibrator import Calibrator
from minilm.optimize.search import mixed_precision as search
from minilm.runtime.errors import BuildFailed
from minilm.runtime.manifest import VARIANTS

from tests.support.tiny_model import LAYERS


@pytest.fixture(scope="module")
def calibration(exported: ExportedModel) -> Calibrator:
    return calibrate(exported, texts()[:96])


def test_all_layers_are_int8_where_that_is_close_enough(calibration: Calibrator) -> None:
    found = search.search_mixed_precision(calibration)
    assert found.float_layers == frozenset()
    assert found.mean >= search.MEAN
    assert found.minimum >= search.MINIMUM


def test_the_most_damaging_layers_go_first(
    calibration: Calibrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    sensitivities = search.measure_sensitivity(calibration)
    losses = [each.mean_loss for each in sensitivities]
    assert losses == sorted(losses, reverse=True)
    # Q, K and V read one value and are measured together: four groups a layer.
    assert len(sensitivities) == 4 * LAYERS
    everything = search.search_mixed_precision(calibration)
    monkeypatch.setattr(search, "MEAN", everything.mean + 1e-9)
    found = search.search_mixed_precision(calibration)
    names = [name for each in sensitivities for name in each.names]
    assert found.float_layers
    assert found.float_layers == frozenset(names[: len(found.float_layers)])
    assert found.mean > everything.mean


def test_no_plan_fails_the_build_and_writes_nothing(
    calibration: Calibrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MEAN", 1.1)
    with pytest.raises(BuildFailed) as caught:
        build_variant(calibration.exported, "cuda/int8", tmp_path, calibration)
    message = str(caught.value)
    assert message.startswith("static int8: no plan gives mean cosine 1.1 and minimum 0.993 with")
    assert "best: 0.99" in message
    assert "with encoder.layer." in message
    assert message.endswith(" in floating point")
    assert not (tmp_path / VARIANTS["cuda/int8"][0]).exists()


def test_the_manifest_says_which_layers_stay_in_floating_point(
    calibration: Calibrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = search.search_mixed_precision(calibration)
    monkeypatch.setattr(search, "MEAN", everything.mean + 1e-9)
    found = search.search_mixed_precision(calibration)
    variant = build_variant(calibration.exported, "cuda/int8", tmp_path, calibration)
    assert variant.float_layers == tuple(sorted(found.float_layers))
    assert variant.float_layers
    half = build_variant(calibration.exported, "cuda/fp16", tmp_path, calibration)
    assert half.float_layers == ()


def test_calibration_of_fp32_runs_nothing(exported: ExportedModel, tmp_path: Path) -> None:
    calibration = calibrate(exported)
    build_variant(exported, "cpu/fp32", tmp_path, calibration)
    assert not {"feeds", "statistics"} & set(vars(calibration))


def test_attention_that_openvino_does_not_recognize_fails(
    calibration: Calibrator, tmp_path: Path
) -> None:
    target = importlib.import_module("minilm.optimize.targets.openvino")
    exported = calibration.exported
    wrong = replace(exported, config=replace(exported.config, layers=LAYERS + 1))
    with pytest.raises(
        BuildFailed, match=r"expected 4 of pattern 'ScaledDotProductAttention' and found 3"
    ):
        target.build(wrong, "bf16", tmp_path, calibration)
    assert not list(tmp_path.rglob("*.onnx"))
