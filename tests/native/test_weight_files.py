"""Damaged and foreign weight files are refused by name, whatever is wrong with them."""

import json
import struct
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.native import NativeEncoder
from safetensors.numpy import save

from tests.native.reference import Architecture, Tensors, metadata, random_tensors
from tests.native.texts import packed

QUERY = "encoder.layer.0.attention.self.query.weight"


def refusal(library: Path, content: bytes) -> str:
    with pytest.raises(InvalidArtifact) as caught:
        NativeEncoder(content, path=library)
    return str(caught.value)


def with_header(content: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """The file with another header before the same data."""
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    change(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + size :]


def test_file_cut_anywhere_is_refused(library: Path, small_file: bytes) -> None:
    for size in [*range(0, 600, 7), *range(600, len(small_file), 997), len(small_file) - 1]:
        assert refusal(library, small_file[:size])


def test_extra_bytes_are_refused(library: Path, small_file: bytes) -> None:
    assert "the data" in refusal(library, small_file + b"\0")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "weight file: 0 bytes are too few for a safetensors file"),
        (
            b"\xff" * 16,
            (
                "weight file: its header claims 18446744073709551615 bytes and the file has 16: it "
                "is cut, or not a safetensors file"
            ),
        ),
        (struct.pack("<Q", 2) + b"[]", "weight file: its header is not a JSON object"),
        (struct.pack("<Q", 2) + b"{}", "weight file: no entry format in its metadata"),
        (
            struct.pack("<Q", 1) + b"{",
            "the weight file's header is not valid JSON: no name at byte 1",
        ),
        (
            struct.pack("<Q", 100) + b"[" * 100,
            "the weight file's header is not valid JSON: too deep a nesting at byte 17",
        ),
        (
            struct.pack("<Q", 14) + b'{"a":1,"a":2}\n',
            "the weight file's header is not valid JSON: a name that stands twice at byte 12",
        ),
    ],
)
def test_what_is_no_weight_file_is_refused(library: Path, content: bytes, message: str) -> None:
    assert refusal(library, content) == message


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("layers", 0, "layers of its architecture is 0, expected is a multiple of 1 from 1 to 256"),
        ("layers", 1e300, "layers of its architecture is 1e+300, expected"),
        ("layers", 3, "tensor encoder.layer.2.attention.self.query.weight is missing"),
        (
            "layers",
            1,
            (
                "tensor encoder.layer.1.attention.output.LayerNorm.bias is not one that this "
                "architecture has"
            ),
        ),
        ("dimension", 33, "dimension of its architecture is 33, expected is a multiple of 16"),
        ("dimension", 2**40, "dimension of its architecture is 1.09951e+12, expected"),
        ("heads", 4, "4 heads in 32 elements, expected is a head of a multiple of 16 elements"),
        ("vocab_size", 51, "word_embeddings.weight is I8 (50, 32) in 1600 bytes, expected is I8 "),
        ("max_tokens", 41, "max_tokens of its architecture is 41, expected is a multiple of 1 fro"),
        ("pooling", "max", 'pooling of its architecture is "max", supported is cls or mean'),
        ("activation", "relu", 'activation of its architecture is "relu", supported is gelu'),
        ("normalized", 1, "normalized of its architecture is not true or false"),
        ("layer_norm_eps", 0, "layer_norm_eps of its architecture is not within 0 to 1"),
        ("rotation", {}, "its architecture has no query_key_value"),
        (
            "rotation",
            {"query_key_value": 24},
            (
                "its rotation of query_key_value has blocks of 24, expected is 1, or a power of "
                "two from 16 to 128 that divides 32"
            ),
        ),
    ],
)
def test_architecture_out_of_range_is_named(
    library: Path, small: Architecture, field: str, value: object, message: str
) -> None:
    data = metadata(small)
    data["architecture"] = json.dumps({**asdict(small), field: value})
    assert message in refusal(library, save(random_tensors(small), data))


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("format", "gguf", 'weight file: its format is "gguf", expected is "minilm-native"'),
        (
            "format_version",
            "2",
            (
                'weight file: its format_version is "2" and this library reads "1": install the '
                "release of minilm-toolkit that wrote it"
            ),
        ),
        ("architecture", "", "the weight file's architecture is not valid JSON: an end"),
    ],
)
def test_foreign_metadata_is_named(
    library: Path, small: Architecture, entry: str, value: str, message: str
) -> None:
    content = save(random_tensors(small), {**metadata(small), entry: value})
    assert refusal(library, content).startswith(message)


def wrong_dtype(tensors: Tensors) -> None:
    tensors[QUERY] = tensors[QUERY].astype(np.uint8)


def wrong_shape(tensors: Tensors) -> None:
    tensors[QUERY] = tensors[QUERY].reshape(16, 64)


def missing(tensors: Tensors) -> None:
    del tensors[QUERY]


def not_finite(tensors: Tensors) -> None:
    tensors["embeddings.LayerNorm.bias"][3] = np.nan


def unknown(tensors: Tensors) -> None:
    tensors["pooler.dense.weight"] = np.zeros(3, np.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (wrong_dtype, f"tensor {QUERY} is U8 (32, 32) in 1024 bytes, expected is I8 (32, 32)"),
        (wrong_shape, f"tensor {QUERY} is I8 (16, 64) in 1024 bytes, expected is I8 (32, 32)"),
        (missing, f"tensor {QUERY} is missing"),
        (not_finite, "tensor embeddings.LayerNorm.bias has elements that are not finite"),
        (unknown, "tensor pooler.dense.weight is not one that this architecture has"),
    ],
)
def test_wrong_tensor_is_named(
    library: Path, small: Architecture, change: Callable[[Tensors], None], message: str
) -> None:
    tensors = random_tensors(small)
    change(tensors)
    assert message in refusal(library, save(tensors, metadata(small)))


@pytest.mark.parametrize(
    "offsets", [[0, 10**15], [5, 1], [0], [-1, 5], [0.5, 2], ["0", "1"], None, [0, 1e300]]
)
def test_offsets_beyond_the_data_are_refused(
    library: Path, small_file: bytes, offsets: object
) -> None:
    def change(header: dict[str, Any]) -> None:
        header[QUERY]["data_offsets"] = offsets

    assert QUERY in refusal(library, with_header(small_file, change))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=4)
)
def test_altered_header_opens_or_is_refused(
    library: Path, small_file: bytes, changes: list[tuple[int, int]]
) -> None:
    content = bytearray(small_file)
    for position, value in changes:
        content[position] = value
    try:
        encoder = NativeEncoder(content, path=library)
    except InvalidArtifact:
        return
    encoder.encode(*packed([[1]]))
