"""Each rewrite keeps the numbers, and a pattern that matches nothing fails the build by name."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnxruntime as ort
import pytest
from minilm.optimize import ExportedModel, calibrate
from minilm.optimize.calibration.corpus import texts
from minilm.optimize.calibration.gptq import QuantizedWeight, gptq
from minilm.optimize.calibration.statistics import ActivationStatistics
from minilm.optimize.ir_utils import Linear, linears
from minilm.optimize.passes.attention import UnfuseAttention
from minilm.optimize.passes.base import Pass, run, tidy
from minilm.optimize.passes.biases import FoldBiases, UnfuseBiasGelu
from minilm.optimize.passes.embeddings import (
    CastEmbeddingsToFp16,
    FoldTokenTypeEmbeddings,
    QuantizeWordEmbeddings,
)
from minilm.optimize.passes.flatten import FlattenBatch
from minilm.optimize.passes.fp16 import ConvertToFp16
from minilm.optimize.passes.fusion import FuseTransformer
from minilm.optimize.passes.per_token import QuantizeDynamicPerToken
from minilm.optimize.passes.pooling import SimplifyL2Norm, SimplifyMeanPooling
from minilm.optimize.passes.qdq import InsertQdq, QuantizeWeights
from minilm.optimize.passes.rotation import RotateInputs
from minilm.optimize.passes.skip_layer_norm import FuseSkipLayerNorm
from minilm.optimize.passes.smoothquant import SmoothLayerNorm, fit_smoothing
from minilm.runtime.errors import BuildFailed

from tests.support.tiny_model import DIMENSION, HEADS, LAYERS

Vectors = npt.NDArray[np.float32]


def embed(model: ir.Model, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> Vectors:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(
        ir.to_proto(tidy(model)).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found: Vectors = session.run(
        ["sentence_embedding"], {"input_ids": ids, "attention_mask": mask}
    )[0]
    return found


@pytest.fixture(scope="module")
def batch() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Four texts of 3 to 12 tokens, padded on the right."""
    rng = np.random.default_rng(5)
    ids = rng.integers(5, 60, (4, 12))
    mask = (np.arange(12) < np.array([[3], [12], [7], [5]])).astype(np.int64)
    return ids * mask, mask


def statistics_of(exported: ExportedModel) -> dict[str, ActivationStatistics]:
    """Of the layers, and of the joined product of Q, K and V as the fused graph names it."""
    seen = dict(calibrate(exported, texts()[:40]).statistics)
    for layer in range(LAYERS):
        prefix = f"encoder.layer.{layer}.attention"
        seen[f"{prefix}.qkv"] = seen[f"{prefix}.self.query"]
    return seen


def smooth(model: ir.Model, exported: ExportedModel, *, shift: bool = True) -> SmoothLayerNorm:
    smoothings = fit_smoothing(model.graph, statistics_of(exported), alpha=0.5, shift=shift)
    return SmoothLayerNorm(smoothings=smoothings, norms=2 * LAYERS)


def fuse(*, mask_lengths: bool = False) -> FuseTransformer:
    return FuseTransformer(
        layers=LAYERS, heads=HEADS, dimension=DIMENSION, mask_lengths=mask_lengths
    )


def cpu(exported: ExportedModel) -> ir.Model:
    passes: list[Pass] = [fuse(), FlattenBatch(layers=LAYERS), UnfuseAttention(layers=LAYERS)]
    return run(ir.load(exported.graph), passes)


@pytest.mark.parametrize(
    "passes",
    [
        [FoldTokenTypeEmbeddings()],
        [SimplifyL2Norm(normalized=True)],
        [fuse()],
        [fuse(), FlattenBatch(layers=LAYERS)],
        [fuse(), FlattenBatch(layers=LAYERS), UnfuseAttention(layers=LAYERS)],
        [fuse(), UnfuseBiasGelu(layers=LAYERS)],
        [fuse(mask_lengths=True), FuseSkipLayerNorm(layers=LAYERS)],
    ],
    ids=lambda passes: "+".join(type(rewrite).__name__ for rewrite in passes),
)
def test_numbers_stay(
    exported: ExportedModel,
    batch: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    passes: list[Pass],
) -> None:
    before = embed(ir.load(exported.graph), *batch)
    after = embed(run(ir.load(exported.graph), passes), *batch)
    np.testing.assert_allclose(after, before, atol=2e-5)


def test_fp16_words_move_nothing_that_counts(
    exported: ExportedModel, batch: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
) -> None:
    before = embed(ir.load(exported.graph), *batch)
    after = embed(run(ir.load(exported.graph), [CastEmbeddingsToFp16()]), *batch)
    assert (before * after).sum(axis=1).min() > 0.99999


def test_smoothing_keeps_numbers_and_scales_by_powers_of_two(
    exported: ExportedModel, batch: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
) -> None:
    before = embed(cpu(exported), *batch)
    model = run(cpu(exported), [smooth(cpu(exported), exported)])
    np.testing.assert_allclose(embed(model, *batch), before, atol=5e-5)
    scales = [
        value.const_value.numpy()
        for name, value in model.graph.initializers.items()
        if name.endswith("residual.scale") and value.const_value is not None
    ]
    assert len(scales) == 2 * LAYERS
    assert all((np.exp2(np.rint(np.log2(scale))) == scale).all() for scale in scales)


def test_smoothing_without_shift_moves_no_bias(
    exported: ExportedModel, batch: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
) -> None:
    before = embed(cpu(exported), *batch)
    rewrite = smooth(cpu(exported), exported, shift=False)
    assert not any(smoothing.shift.any() for smoothing in rewrite.smoothings.values())
    np.testing.assert_allclose(embed(run(cpu(exported), [rewrite]), *batch), before, atol=5e-5)


def test_rotation_keeps_numbers_and_float_layers(
    exported: ExportedModel, batch: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
) -> None:
    model = ir.load(exported.graph)
    before = embed(model, *batch)
    float_layers = frozenset({"encoder.layer.1.output.dense"})
    kept = next(each for each in linears(model.graph) if each.name in float_layers).weight
    # Q, K and V, the first and the second product of the feed-forward part: three a layer.
    model = run(model, [RotateInputs(inputs=3 * LAYERS - 1, float_layers=float_layers)])
    np.testing.assert_allclose(embed(model, *batch), before, atol=5e-5)
    after = {linear.name: linear for linear in linears(model.graph)}
    np.testing.assert_array_equal(after["encoder.layer.1.output.dense"].weight, kept)
    assert ".rotation." not in (after["encoder.layer.1.output.dense"].input.name or "")
    assert ".rotation." in (after["encoder.layer.0.output.dense"].input.name or "")


def test_folding_biases_keeps_numbers_and_drops_additions(
    exported: ExportedModel, batch: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
) -> None:
    model = run(with_biases(cpu(exported)), [smooth(with_biases(cpu(exported)), exported)])
    before = embed(model, *batch)
    additions = sum(node.op_type == "Add" for node in model.graph)
    model = run(model, [FoldBiases(layers=LAYERS)])
    np.testing.assert_allclose(embed(model, *batch), before, atol=2e-5)
    # K's and V's third of the joined bias moves no node; both residual biases of a layer go.
    assert additions - sum(node.op_type == "Add" for node in model.graph) == 2 * LAYERS


def with_biases(model: ir.Model) -> ir.Model:
    """Give every bias something to add: a new BertModel has zeros."""
    rng = np.random.default_rng(11)
    for name, value in model.graph.initializers.items():
        if name.endswith("bias") and value.const_value is not None:
            noise = rng.normal(0, 0.3, value.const_value.numpy().shape).astype(np.float32)
            value.const_value = ir.tensor(noise, name=name)
    return model


def within_16_bits(linear: Linear) -> QuantizedWeight:
    """Codes whose pairs never saturate: a CPU without VNNI gives the same sums."""
    return gptq(linear.weight, np.eye(len(linear.weight)), pairs=True)


def test_per_token_codes_do_not_depend_on_the_batch(
    exported: ExportedModel, batch: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
) -> None:
    quantize = QuantizeDynamicPerToken(layers=LAYERS, round_weight=within_16_bits)
    model = run(cpu(exported), [quantize, QuantizeWordEmbeddings()])
    ids, mask = batch
    together = embed(model, ids, mask)
    for row, count in enumerate(mask.sum(axis=1)):
        alone = embed(model, ids[row : row + 1, :count], mask[row : row + 1, :count])
        assert float(alone[0] @ together[row]) > 0.99999
    assert (together * embed(cpu(exported), ids, mask)).sum(axis=1).min() > 0.99


def test_static_codes_are_symmetric_s8(
    exported: ExportedModel, batch: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
) -> None:
    model = ir.load(exported.graph)
    float_layers = frozenset({"encoder.layer.0.output.dense"})
    quantize = InsertQdq(
        linears=6 * LAYERS,
        peaks={name: seen.peak for name, seen in statistics_of(exported).items()},
        round_weight=within_16_bits,
        float_layers=float_layers,
    )
    after = run(model, [quantize])
    zeros = [v for name, v in after.graph.initializers.items() if name.endswith("zero")]
    assert zeros
    for value in zeros:
        assert value.const_value is not None
        assert value.const_value.dtype == ir.DataType.INT8
        assert not value.const_value.numpy().any()
    names = {linear.name for linear in linears(after.graph)}
    assert names == float_layers
    similar = embed(after, *batch) * embed(ir.load(exported.graph), *batch)
    assert similar.sum(axis=1).min() > 0.97


def test_half_keeps_outputs_in_float32(
    exported: ExportedModel, batch: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
) -> None:
    model = run(ir.load(exported.graph), [SimplifyL2Norm(normalized=True), fuse(), ConvertToFp16()])
    found = embed(model, *batch)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    weight = model.graph.initializers["encoder.layer.0.output.dense.weight"]
    assert weight.dtype == ir.DataType.FLOAT16


@pytest.mark.parametrize(
    ("make", "pattern"),
    [
        (lambda: FuseTransformer(layers=9, heads=HEADS, dimension=DIMENSION), "Attention"),
        (lambda: FlattenBatch(layers=LAYERS), "attention"),
        (lambda: UnfuseAttention(layers=LAYERS), "attention"),
        (lambda: SimplifyMeanPooling(pooling="mean"), "mean pooling"),
        (lambda: FuseSkipLayerNorm(layers=9), "residual"),
        (lambda: FoldBiases(layers=9), "attention"),
        (lambda: UnfuseBiasGelu(layers=9), "Gelu"),
        (lambda: SmoothLayerNorm(smoothings={}, norms=1), "norm"),
        (lambda: RotateInputs(inputs=1), "input"),
        (lambda: QuantizeWeights(linears=99, round_weight=within_16_bits), "linear"),
        (
            lambda: QuantizeDynamicPerToken(layers=9, round_weight=within_16_bits),
            "linear",
        ),
        (
            lambda: InsertQdq(linears=99, peaks={}, round_weight=within_16_bits),
            "linear",
        ),
    ],
)
def test_what_matches_nothing_fails_by_name(
    exported: ExportedModel, make: Callable[[], Pass], pattern: str
) -> None:
    rewrite = make()
    model = ir.load(exported.graph)
    if isinstance(rewrite, SmoothLayerNorm | RotateInputs | InsertQdq | QuantizeWeights):
        for node in [node for node in model.graph if node.op_type == "MatMul"]:
            node.op_type = "Other"
    with pytest.raises(BuildFailed) as caught:
        run(model, [FoldTokenTypeEmbeddings(), rewrite])
    message = str(caught.value)
    assert message.startswith(f"pass {type(rewrite).__name__}: expected ")
    assert f"of pattern {pattern!r} and rewrote " in message
    assert message.endswith("passes before it: FoldTokenTypeEmbeddings")
    assert caught.value.exit_code == 6


@pytest.mark.parametrize(
    "rewrite", [FoldTokenTypeEmbeddings(), QuantizeWordEmbeddings(), CastEmbeddingsToFp16()]
)
def test_embeddings_are_rewritten_once(exported: ExportedModel, rewrite: Pass) -> None:
    with pytest.raises(BuildFailed, match=r"expected 1 of pattern .* and rewrote 0"):
        run(ir.load(exported.graph), [rewrite, rewrite])
