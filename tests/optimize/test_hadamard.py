"""Rotations leave a product as it is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minilm.optimize.calibration.hadamard import (
    block_size,
    hadamard,
    rotate_gram,
    rotate_rows,
    rotate_weight,
)


@pytest.mark.parametrize(("width", "block"), [(384, 128), (1536, 128), (48, 16), (7, 1), (96, 32)])
def test_block_size_is_the_largest_power_of_two_that_divides(width: int, block: int) -> None:
    assert block_size(width) == block


@pytest.mark.parametrize("size", [0, 3, 96])
def test_hadamard_refuses_a_size_that_is_no_power_of_two(size: int) -> None:
    with pytest.raises(ValueError, match=f"needs a power of two, got {size}"):
        hadamard(size)


@settings(deadline=None, max_examples=25)
@given(st.sampled_from([8, 24, 96, 384]), st.integers(0, 10_000))
def test_rotating_input_and_weight_keeps_the_product(width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, weight = rng.normal(size=(5, width)), rng.normal(size=(width, 3))
    rotated = rotate_rows(rows)
    np.testing.assert_allclose(rotated @ rotate_weight(weight), rows @ weight, atol=1e-10)
    np.testing.assert_allclose(rotate_gram(rows.T @ rows), rotated.T @ rotated, atol=1e-9)
    np.testing.assert_allclose((rotated**2).sum(axis=1), (rows**2).sum(axis=1))


def test_rotation_spreads_one_large_element_over_its_block() -> None:
    rows = np.zeros((1, 256))
    rows[0, 3] = 16.0
    rotated = np.abs(rotate_rows(rows))[0]
    np.testing.assert_allclose(rotated[:128], 16 / np.sqrt(128))
    assert not rotated[128:].any()
