"""Each rewrite keeps the numbers, and a pattern that matches nothing fails the build by name."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnxruntime as ort
import pytest
from minilm.optimize import Exported
from minilm.optimize.calibration import feeds, statistics
from minilm.optimize.corpus import texts
from minilm.optimize.passes.attention import SplitAttention
from minilm.optimize.passes.biases import FoldBiases, SplitGelu
from minilm.optimize.passes.embeddings import (
    FoldTokenTypes,
    HalveWordEmbeddings,
    QuantizeWordEmbeddings,
)
from minilm.optimize.passes.fusion import FuseTransformer
from minilm.optimize.passes.graph import linears
from minilm.optimize.passes.half import HalvePrecision
from minilm.optimize.passes.infra import Pass, run, tidy
from minilm.optimize.passes.per_token import QuantizePerToken
from minilm.optimize.passes.pooling import DivideByNorm, PoolMean
from minilm.optimize.passes.qdq import QuantizeStatic
from minilm.optimize.passes.residual import JoinResiduals
from minilm.optimize.passes.smoothing import Smooth, SmoothGelu
from minilm.optimize.passes.tokens import FlattenTokens
from minilm.optimize.rounding import nearest
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


def smooth(model: ir.Model, exported: Exported) -> Smooth:
    inputs = feeds(exported.tokenizer, texts()[:40], exported.max_tokens)
    seen = statistics(model, [linear.input for linear in linears(model.graph)], inputs)
    return Smooth(statistics=seen, norms=2 * LAYERS, alpha=0.5)


def fuse(*, mask_lengths: bool = False) -> FuseTransformer:
    return FuseTransformer(
        layers=LAYERS, heads=HEADS, dimension=DIMENSION, mask_lengths=mask_lengths
    )


def cpu(exported: Exported) -> ir.Model:
    passes: list[Pass] = [fuse(), FlattenTokens(layers=LAYERS), SplitAttention(layers=LAYERS)]
    return run(ir.load(exported.graph), passes)


@pytest.mark.parametrize(
    "passes",
    [
        [FoldTokenTypes()],
        [DivideByNorm(normalized=True)],
        [fuse()],
        [fuse(), FlattenTokens(layers=LAYERS)],
        [fuse(), FlattenTokens(layers=LAYERS), SplitAttention(layers=LAYERS)],
        [fuse(), SplitGelu(layers=LAYERS)],
        [fuse(mask_lengths=True), JoinResiduals(layers=LAYERS)],
    ],
    ids=lambda passes: "+".join(type(rewrite).__name__ for rewrite in passes),
)
def test_numbers_stay(
    exported: Exported,
    batch: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    passes: list[Pass],
) -> None:
    before = embed(ir.load(exported.graph), *batch)
    after = embed(run(ir.load(exported.graph), passes), *batch)
    np.testing.assert_allclose(after, before, atol=2e-5)


def test_fp16_words_move_nothing_that_counts(
    exported: Exported, batch: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
) -> None:
    before = embed(ir.load(exported.graph), *batch)
    after = embed(run(ir.load(exported.graph), [HalveWordEmbeddings()]), *batch)
    assert (before * after).sum(axis=1).min() > 0.99999


def test_smoothing_keeps_numbers_and_scales_by_powers_of_two(
    exported: Exported, batch: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
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


@pytest.mark.parametrize("steps", [1, 4])
def test_smoothing_after_gelu_keeps_numbers_and_what_is_left_out(
    exported: Exported, batch: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]], steps: int
) -> None:
    before = embed(ir.load(exported.graph), *batch)
    model = ir.load(exported.graph)
    seen = smooth(model, exported).statistics
    left_out = frozenset({"encoder.layer.1.output.dense"})
    rewrite = SmoothGelu(
        statistics=seen, gelus=LAYERS - 1, alpha=0.85, steps=steps, left_out=left_out
    )
    model = run(model, [rewrite])
    np.testing.assert_allclose(embed(model, *batch), before, atol=5e-5)
    smoothed = {
        linear.name
        for linear in linears(model.graph)
        if (linear.input.name or "").startswith(f"{linear.name}.smooth.")
    }
    assert smoothed == {f"encoder.layer.{layer}.output.dense" for layer in (0, 2)}
    factor = model.graph.initializers["encoder.layer.0.output.dense.smooth.factor"].const_value
    assert factor is not None
    octaves = np.log2(factor.numpy()) * steps
    np.testing.assert_allclose(octaves, np.rint(octaves), atol=1e-5)


def test_folding_biases_keeps_numbers_and_drops_additions(
    exported: Exported, batch: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
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


def test_per_token_codes_do_not_depend_on_the_batch(
    exported: Exported, batch: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
) -> None:
    quantize = QuantizePerToken(layers=LAYERS, round_weight=lambda linear: nearest(linear.weight))
    model = run(cpu(exported), [quantize, QuantizeWordEmbeddings()])
    ids, mask = batch
    together = embed(model, ids, mask)
    for row, count in enumerate(mask.sum(axis=1)):
        alone = embed(model, ids[row : row + 1, :count], mask[row : row + 1, :count])
        assert float(alone[0] @ together[row]) > 0.99999
    assert (together * embed(cpu(exported), ids, mask)).sum(axis=1).min() > 0.99


def test_static_codes_are_symmetric_s8(
    exported: Exported, batch: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
) -> None:
    model = ir.load(exported.graph)
    inputs = feeds(exported.tokenizer, texts()[:60], exported.max_tokens)
    seen = statistics(model, [linear.input for linear in linears(model.graph)], inputs)
    left_out = frozenset({"encoder.layer.0.output.dense"})
    quantize = QuantizeStatic(
        linears=6 * LAYERS,
        peaks={name: statistic.peak for name, statistic in seen.items()},
        round_weight=lambda linear: nearest(linear.weight),
        left_out=left_out,
    )
    after = run(model, [quantize])
    zeros = [v for name, v in after.graph.initializers.items() if name.endswith("zero")]
    assert zeros
    for value in zeros:
        assert value.const_value is not None
        assert value.const_value.dtype == ir.DataType.INT8
        assert not value.const_value.numpy().any()
    names = {linear.name for linear in linears(after.graph)}
    assert names == left_out
    similar = embed(after, *batch) * embed(ir.load(exported.graph), *batch)
    assert similar.sum(axis=1).min() > 0.97


def test_half_keeps_outputs_in_float32(
    exported: Exported, batch: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
) -> None:
    model = run(ir.load(exported.graph), [DivideByNorm(normalized=True), fuse(), HalvePrecision()])
    found = embed(model, *batch)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    weight = model.graph.initializers["encoder.layer.0.output.dense.weight"]
    assert weight.dtype == ir.DataType.FLOAT16


@pytest.mark.parametrize(
    ("make", "pattern"),
    [
        (lambda: FuseTransformer(layers=9, heads=HEADS, dimension=DIMENSION), "Attention"),
        (lambda: FlattenTokens(layers=LAYERS), "attention"),
        (lambda: SplitAttention(layers=LAYERS), "attention"),
        (lambda: PoolMean(pooling="mean"), "mean pooling"),
        (lambda: JoinResiduals(layers=9), "residual"),
        (lambda: FoldBiases(layers=9), "attention"),
        (lambda: SplitGelu(layers=9), "Gelu"),
        (lambda: Smooth(statistics={}, norms=1), "norm"),
        (lambda: SmoothGelu(statistics={}, gelus=1, alpha=0.5), "gelu"),
        (
            lambda: QuantizePerToken(layers=9, round_weight=lambda linear: nearest(linear.weight)),
            "linear",
        ),
        (
            lambda: QuantizeStatic(linears=99, peaks={}, round_weight=lambda _: nearest(_.weight)),
            "linear",
        ),
    ],
)
def test_what_matches_nothing_fails_by_name(
    exported: Exported, make: Callable[[], Pass], pattern: str
) -> None:
    rewrite = make()
    model = ir.load(exported.graph)
    if isinstance(rewrite, Smooth | SmoothGelu | QuantizeStatic):
        for node in [node for node in model.graph if node.op_type == "MatMul"]:
            node.op_type = "Other"
    with pytest.raises(BuildFailed) as caught:
        run(model, [FoldTokenTypes(), rewrite])
    message = str(caught.value)
    assert message.startswith(f"pass {type(rewrite).__name__}: expected ")
    assert f"of pattern {pattern!r} and rewrote " in message
    assert message.endswith("passes before it: FoldTokenTypes")
    assert caught.value.exit_code == 6


@pytest.mark.parametrize(
    "rewrite", [FoldTokenTypes(), QuantizeWordEmbeddings(), HalveWordEmbeddings()]
)
def test_embeddings_are_rewritten_once(exported: Exported, rewrite: Pass) -> None:
    with pytest.raises(BuildFailed, match=r"expected 1 of pattern .* and rewrote 0"):
        run(ir.load(exported.graph), [rewrite, rewrite])
