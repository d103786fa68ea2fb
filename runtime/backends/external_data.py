"""Tensors of an ONNX model that are kept in other files, found without the library `onnx`.

ONNX Runtime reads such a file by a path in the model, relative to the working directory where it is
given the model's bytes: a file that nobody has listed or hashed. The walk below reads the structure
of the protobuf alone (onnx/onnx.proto) and steps over the tensors' data.
"""

from collections.abc import Iterator, Mapping
from typing import Final

__all__ = ["external_files"]

# Message to field number to the message in that field, of those that lead to a tensor.
_FIELDS: Final[Mapping[str, Mapping[int, str]]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_DATA_LOCATION: Final = 14
_EXTERNAL: Final = 1
_MAX_DEPTH: Final = 64
"""Messages within messages; protobuf itself stops at 100."""

Field = tuple[int, int, int, int]


def external_files(model: bytes) -> tuple[str, ...]:
    """Paths of the files in which a model keeps tensors, as the model gives them, each once.

    Args:
        model: A serialized `ModelProto`.

    Returns:
        In the model's order; "" for a tensor that is said to be elsewhere without a path.

    Raises:
        ValueError: It is not a serialized model.
    """
    try:
        return tuple(dict.fromkeys(_walk(memoryview(model), 0, len(model), "model", 0)))
    except IndexError as error:
        raise ValueError("the model ends within a number") from error


def _walk(data: memoryview, start: int, end: int, message: str, depth: int) -> Iterator[str]:
    """Paths in the message between two offsets."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"messages are nested more than {_MAX_DEPTH} deep")
    if message == "tensor":
        yield from _paths(data, start, end)
        return
    inner = _FIELDS[message]
    for number, wire_type, first, last in _fields(data, start, end):
        if number in inner and wire_type == 2:
            yield from _walk(data, first, last, inner[number], depth + 1)


def _paths(data: memoryview, start: int, end: int) -> Iterator[str]:
    """The path of a tensor that is elsewhere."""
    elsewhere, path = False, ""
    for number, wire_type, first, last in _fields(data, start, end):
        if number == _DATA_LOCATION and wire_type == 0:
            elsewhere = elsewhere or _varint(data, first)[0] == _EXTERNAL
        elif number == 13 and wire_type == 2:
            elsewhere = True
            pair = {
                n: bytes(data[a:b]) for n, wire, a, b in _fields(data, first, last) if wire == 2
            }
            if pair.get(1) == b"location":
                path = pair.get(2, b"").decode("utf-8")
    if elsewhere:
        yield path


def _fields(data: memoryview, start: int, end: int) -> Iterator[Field]:
    """Number, wire type, and the offsets of the content of each field of a message."""
    at = start
    while at < end:
        key, at = _varint(data, at)
        wire_type, first = key & 7, at
        if wire_type == 2:
            size, first = _varint(data, at)
            at = first + size
        elif wire_type == 0:
            _, at = _varint(data, at)
        elif wire_type in (1, 5):
            at += 8 if wire_type == 1 else 4
        else:
            raise ValueError(f"wire type {wire_type} at offset {first}")
        if at > end:
            raise ValueError(f"a field ends {at - end} bytes beyond its message, at offset {at}")
        yield key >> 3, wire_type, first, at


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A number of variable length, and the offset behind it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError(f"a number of more than 64 bits at offset {at}")
