"""The search for the layers that static int8 suits."""

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from minilm.optimize import Exported, build_variant, static
from minilm.optimize.corpus import texts
from minilm.runtime.errors import BuildFailed
from minilm.runtime.manifest import VARIANTS

from tests.support.tiny_model import LAYERS

CORPUS = texts()[:96]


@pytest.fixture(scope="module")
def found(exported: Exported) -> static.StaticPlan:
    return static.plan(exported, CORPUS)


def test_the_most_damaging_go_first(found: static.StaticPlan) -> None:
    losses = [damage.mean_loss for damage in found.damages]
    assert losses == sorted(losses, reverse=True)
    # Q, K and V read one value and are judged together: four groups a layer.
    assert len(found.damages) == 4 * LAYERS
    first = [name for damage in found.damages for name in damage.names][: len(found.left_out)]
    assert found.left_out == set(first)


def test_the_gate_holds_with_what_is_left_out(found: static.StaticPlan) -> None:
    assert found.mean >= static.MEAN
    assert found.minimum >= static.MINIMUM


def test_same_plan_again(exported: Exported, found: static.StaticPlan) -> None:
    static.plan.cache_clear()
    again = static.plan(exported, CORPUS)
    assert again.left_out == found.left_out
    assert again.damages == found.damages
    for name, rounded in found.recipe.rounded.items():
        np.testing.assert_array_equal(again.recipe.rounded[name].codes, rounded.codes)


@pytest.mark.parametrize("name", ["openvino/int8", "cuda/int8"])
def test_no_plan_fails_the_build_and_writes_nothing(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(static, "MEAN", 1.1)
    static.plan.cache_clear()
    with pytest.raises(BuildFailed) as caught:
        build_variant(exported, name, tmp_path, CORPUS)
    static.plan.cache_clear()
    message = str(caught.value)
    assert message.startswith("static int8: no plan gives mean cosine 1.1 and minimum 0.995 with")
    assert "best: 0.99" in message
    assert "without encoder.layer." in message
    assert not (tmp_path / VARIANTS[name][0]).exists()


def test_the_manifest_says_what_stays_in_floating_point(
    exported: Exported, found: static.StaticPlan, tmp_path: Path
) -> None:
    for name in ("openvino/int8", "cuda/int8"):
        variant = build_variant(exported, name, tmp_path, CORPUS)
        assert variant.float_layers == tuple(sorted(found.left_out))
    assert build_variant(exported, "cuda/fp16", tmp_path, CORPUS).float_layers == ()


def test_attention_that_openvino_does_not_recognize_fails(
    exported: Exported, tmp_path: Path
) -> None:
    target = importlib.import_module("minilm.optimize.targets.openvino")
    wrong = replace(exported, layers=LAYERS + 1)
    with pytest.raises(
        BuildFailed, match=r"expected 4 of pattern 'ScaledDotProductAttention' and found 3"
    ):
        target.build(wrong, "bf16", tmp_path, CORPUS)
    assert not list(tmp_path.rglob("*.onnx"))
