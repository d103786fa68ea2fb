"""int8 codes of weights."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from minilm.optimize.calibration.gptq import gptq, nearest

matrices = arrays(np.float32, (12, 5), elements=st.floats(-4, 4, width=32))


@settings(deadline=None)
@given(matrices)
def test_nearest_is_within_half_a_step(weight: np.ndarray) -> None:
    rounded = nearest(weight)
    assert rounded.codes.dtype == np.int8
    assert np.abs(rounded.codes.astype(int)).max() <= 127
    assert (np.abs(rounded.weight - weight) <= rounded.scale * 0.5 + 1e-5).all()


def test_a_column_of_zeros_has_no_nan() -> None:
    weight = np.zeros((4, 3), np.float32)
    assert (nearest(weight).weight == 0).all()
    assert (gptq(weight, np.eye(4)).weight == 0).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_gptq_never_errs_much_more_than_nearest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((400, 40)) @ rng.standard_normal((40, 40))
    weight = rng.standard_normal((40, 8)).astype(np.float32)
    gram = inputs.T @ inputs

    def error(rounded: np.ndarray) -> float:
        return float(np.square(inputs @ (rounded - weight)).sum())

    assert error(gptq(weight, gram).weight) < error(nearest(weight).weight)


def test_gptq_with_independent_inputs_is_nearest() -> None:
    weight = np.random.default_rng(3).standard_normal((16, 4)).astype(np.float32)
    np.testing.assert_array_equal(gptq(weight, np.eye(16)).codes, nearest(weight).codes)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 40))
def test_pairs_never_saturate_16_bits(seed: int, inputs: int) -> None:
    """Worst codes of activations: 255 where the weight has the sign that is summed, else 0."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((400, inputs)) @ rng.standard_normal((inputs, inputs))
    weight = rng.standard_normal((inputs, 8)).astype(np.float32)
    rounded = gptq(weight, rows.T @ rows, pairs=True)
    for sign in (1, -1):
        parts = np.maximum(sign * rounded.codes.astype(int), 0)
        sums = np.add.reduceat(parts, np.arange(0, inputs, 2), axis=0)
        assert 255 * sums.max() <= 32_767
    assert (
        np.square(rows @ (rounded.weight - weight)).mean() < 1e-2 * np.square(rows @ weight).mean()
    )


def test_a_column_of_zeros_has_no_nan_in_pairs() -> None:
    rounded = gptq(np.zeros((5, 3), np.float32), np.eye(5), pairs=True)
    assert (rounded.weight == 0).all()
