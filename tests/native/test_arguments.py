"""What a caller may ask of an open encoder, and what it is told otherwise."""

from pathlib import Path

import numpy as np
import pytest
from minilm.runtime.errors import BackendUnavailable, EncoderUnusable, UsageError
from minilm.runtime.native import NativeEncoder

from tests.native.texts import packed


@pytest.fixture
def encoder(library: Path, small_file: bytes) -> NativeEncoder:
    return NativeEncoder(small_file, path=library)


def test_attributes(encoder: NativeEncoder) -> None:
    assert (encoder.dimension, encoder.max_tokens) == (32, 32)


@pytest.mark.parametrize("identifier", [-1, 50, 2**31 - 1, -(2**31)])
def test_id_out_of_range_is_named(encoder: NativeEncoder, identifier: int) -> None:
    with pytest.raises(UsageError) as caught:
        encoder.encode(*packed([[1, 2], [3, 4, identifier]]))
    expected = f"token 2 of text 1 has id {identifier}, expected is 0 to 49"
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ([0, 0, 4], "text 0 has 0 tokens, expected is 1 to 32"),
        ([0, 3, 2, 4], "text 1 has -1 tokens, expected is 1 to 32"),
        ([1, 4], "offsets begin with 1, expected is 0"),
        ([0, 3], "the last offset is 3, expected is the number of ids, 4"),
        ([], "the last offset is missing, expected is the number of ids, 4"),
        ([0, 2**62, 4], "text 0 has 4611686018427387904 tokens, expected is 1 to 32"),
        ([0, -(2**63), 4], "text 0 has -9223372036854775808 tokens, expected is 1 to 32"),
    ],
)
def test_bad_offsets_are_named(encoder: NativeEncoder, offsets: list[int], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        encoder.encode(np.ones(4, np.int32), np.array(offsets, np.int64))
    assert str(caught.value) == message


def test_too_long_a_text_is_refused(encoder: NativeEncoder) -> None:
    with pytest.raises(UsageError, match="text 1 has 33 tokens, expected is 1 to 32"):
        encoder.encode(*packed([[1], [1] * 33]))


@pytest.mark.parametrize("threads", [0, -1, 1025])
def test_number_of_threads_is_checked(encoder: NativeEncoder, threads: int) -> None:
    with pytest.raises(UsageError) as caught:
        encoder.encode(*packed([[1]]), threads=threads)
    assert str(caught.value) == f"threads is {threads}, expected is 1 to 1024"


def test_no_texts_give_no_vectors(encoder: NativeEncoder) -> None:
    vectors = encoder.encode(np.zeros(0, np.int32), np.zeros(1, np.int64))
    assert vectors.shape == (0, 32)


def test_closed_encoder_is_refused(encoder: NativeEncoder) -> None:
    encoder.close()
    encoder.close()
    with pytest.raises(EncoderUnusable, match="this encoder was closed: load it again"):
        encoder.encode(*packed([[1]]))


def test_missing_library_says_what_to_do(tmp_path: Path, small_file: bytes) -> None:
    with pytest.raises(BackendUnavailable) as caught:
        NativeEncoder(small_file, path=tmp_path / "minilm_native.so")
    assert str(caught.value) == (
        "the native encoder minilm_native.so is not there; it is compiled when minilm-toolkit is "
        "installed from source and a C++17 compiler is found"
    )


def test_damaged_library_is_named(tmp_path: Path, small_file: bytes) -> None:
    path = tmp_path / "minilm_native.so"
    path.write_bytes(b"no library")
    with pytest.raises(BackendUnavailable, match=r"minilm_native\.so cannot be opened"):
        NativeEncoder(small_file, path=path)
