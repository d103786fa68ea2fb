"""Every kernel gives the bytes of the NumPy model, alone, in any batch, on any threads."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from minilm.runtime.errors import BackendUnavailable
from minilm.runtime.native import NativeEncoder, available_kernels, measure_peak

from tests.native.reference import (
    Architecture,
    encode,
    random_tensors,
    weight_file,
    with_rotation,
)
from tests.native.texts import packed, random_texts

LENGTHS = (1, 2, 5, 13, 16, 17, 31, 32)

ARCHITECTURES = {
    "narrow": Architecture(dimension=16, heads=1, intermediate=16),
    "odd-multiples": Architecture(dimension=48, heads=3, intermediate=80, pooling="cls"),
    "wide-heads": Architecture(dimension=160, heads=2, intermediate=112, normalized=False),
    "large-rotation": Architecture(dimension=128, heads=4, intermediate=384, layers=3),
    "real-widths": Architecture(dimension=384, heads=12, intermediate=1536, layer_norm_eps=1e-6),
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_kernel_gives_the_bytes_of_the_model(library: Path, name: str) -> None:
    architecture = with_rotation(ARCHITECTURES[name])
    tensors = random_tensors(architecture, seed=1)
    texts = random_texts(LENGTHS, architecture.vocab_size)
    expected = encode(architecture, tensors, texts)
    content = weight_file(architecture, tensors)
    for kernel in available_kernels(library):
        encoder = NativeEncoder(content, kernel=kernel, path=library)
        assert encoder.kernel == kernel
        for threads in (1, 2, 3):
            vectors = encoder.encode(*packed(texts), threads=threads)
            np.testing.assert_array_equal(vectors, expected, err_msg=kernel)


def test_rotation_is_optional(library: Path) -> None:
    rotation = dict.fromkeys(("query_key_value", "attention_output", "intermediate", "output"), 1)
    architecture = Architecture(rotation=rotation)
    tensors = random_tensors(architecture)
    texts = random_texts(LENGTHS, architecture.vocab_size)
    encoder = NativeEncoder(weight_file(architecture, tensors), path=library)
    expected = encode(architecture, tensors, texts)
    np.testing.assert_array_equal(encoder.encode(*packed(texts)), expected)


def test_long_texts_and_many_blocks(library: Path) -> None:
    """Texts longer than a chunk of rows, and more tokens than a block."""
    architecture = with_rotation(
        Architecture(dimension=64, heads=2, intermediate=128, positions=512, max_tokens=512)
    )
    tensors = random_tensors(architecture)
    texts = random_texts((512, 3, 257, 100, 200, 1, 96, 97), architecture.vocab_size)
    encoder = NativeEncoder(weight_file(architecture, tensors), path=library)
    expected = encode(architecture, tensors, texts)
    for threads in (1, 2):
        vectors = encoder.encode(*packed(texts), threads=threads)
        np.testing.assert_array_equal(vectors, expected)


def test_rows_of_zeros_and_extreme_scales(library: Path, small: Architecture) -> None:
    tensors = random_tensors(small)
    for name, tensor in tensors.items():
        if name.endswith(("0.attention.output.LayerNorm.weight", "LayerNorm.bias")):
            tensor[:] = 0  # so that whole rows are zero
        if name.endswith("1.output.dense.scale"):
            tensor[::2] *= np.float32(1e-30)
            tensor[1::2] *= np.float32(1e4)
    texts = random_texts(LENGTHS, small.vocab_size)
    expected = encode(small, tensors, texts)
    for kernel in available_kernels(library):
        encoder = NativeEncoder(weight_file(small, tensors), kernel=kernel, path=library)
        np.testing.assert_array_equal(encoder.encode(*packed(texts)), expected, err_msg=kernel)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lengths=st.lists(st.integers(1, 32), min_size=1, max_size=40),
    threads=st.integers(1, 9),
    seed=st.integers(0, 1000),
)
def test_bytes_depend_neither_on_batch_nor_on_threads(
    library: Path, small_file: bytes, lengths: list[int], threads: int, seed: int
) -> None:
    encoder = NativeEncoder(small_file, path=library)
    texts = random_texts(lengths, 50, seed)
    together = encoder.encode(*packed(texts), threads=threads)
    alone = np.concatenate([encoder.encode(*packed([text]), threads=threads) for text in texts])
    assert together.tobytes() == alone.tobytes()


def test_last_kernel_is_plain_cpp(library: Path) -> None:
    assert available_kernels(library)[-1] == "generic"


def test_default_kernel_is_the_first(library: Path, small_file: bytes) -> None:
    assert NativeEncoder(small_file, path=library).kernel == available_kernels(library)[0]


def test_unknown_kernel_is_refused(library: Path, small_file: bytes) -> None:
    names = ", ".join(available_kernels(library))
    with pytest.raises(BackendUnavailable) as caught:
        NativeEncoder(small_file, kernel="sse2", path=library)
    assert str(caught.value) == f'kernel "sse2" cannot run on this processor; it has: {names}'


def test_peak_is_measured_for_every_kernel(library: Path) -> None:
    for kernel in available_kernels(library):
        assert measure_peak(kernel, seconds=0.001, path=library) > 0
    with pytest.raises(BackendUnavailable, match='kernel "none" cannot run'):
        measure_peak("none", path=library)
