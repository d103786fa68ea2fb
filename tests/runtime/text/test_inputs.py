"""What may be passed as texts."""

import re
from collections import deque
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from minilm.runtime import Encoder
from minilm.runtime.errors import TextTypeError, ToolkitError, UsageError
from minilm.runtime.text.inputs import validate_texts


class _Column:
    """What a pandas column is to a caller: iterable, with a length, no Sequence."""

    def __init__(self, *values: object) -> None:
        self._values = values

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class _Table(_Column):
    """What a pandas table is to a caller: it iterates over the names of its columns."""

    ndim = 2


@pytest.mark.parametrize(
    "texts",
    [
        ["one", "two"],
        ("one", "two"),
        deque(["one", "two"]),
        np.array(["one", "two"]),
        np.array(["one", "two"], dtype=object),
        np.array(["one", "two"], dtype=np.dtypes.StringDType()),
        map(str.lower, ["ONE", "TWO"]),
        {1: "one", 2: "two"}.values(),
        _Column("one", "two"),
        iter(["one", "two"]),
        (text for text in ("one", "two")),
    ],
    ids=lambda texts: type(texts).__name__,
)
def test_any_iterable_of_texts(texts: Any, tiny: Encoder) -> None:
    expected = tiny.encode(["one", "two"])
    np.testing.assert_array_equal(tiny.encode(texts), expected)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (None, "texts is None, expected a str or an iterable of str"),
        (7, "texts is int (7), expected a str or an iterable of str"),
        (b"bytes", "texts is bytes, expected str: decode it first"),
        ({"a": 1}, "texts is dict, which has no order of texts: pass a list"),
        ({"a"}, "texts is set, which has no order of texts: pass a list"),
        (["a", None], "texts[1] is None, expected str"),
        (["a", b"b"], "texts[1] is bytes, expected str: decode it first"),
        (["a", "b", 3.5], "texts[2] is float (3.5), expected str"),
        (["a", float("nan")], "texts[1] is float (nan), expected str"),
        (
            ["a", float("nan"), "b", None, float("nan")],
            (
                "texts[1] is float (nan), expected str; so is texts[3], texts[4]: drop them, or put"
                " a text in their place"
            ),
        ),
        (
            [None] * 200,
            "texts[0] is None, expected str; so is "
            + ", ".join(f"texts[{n}]" for n in range(1, 100))
            + " and 100 more: drop them, or put a text in their place",
        ),
        ([["a", "b"]], "texts[0] is a list (str, str), expected str"),
        ([("a", "b", "c", "d")], "texts[0] is a tuple (str, str, str, …), expected str"),
        (np.array([1.0]), "texts[0] is float64 (1.0), expected str"),
        (np.array([b"a"]), "texts[0] is bytes_, expected str: decode it first"),
        (["a", bytearray(b"b")], "texts[1] is bytearray, expected str: decode it first"),
        (memoryview(b"a"), "texts is memoryview, expected str: decode it first"),
        (((text for text in "ab") for _ in "ab"), "texts[0] is generator, expected str"),
        ([[]], "texts[0] is a list (), expected str"),
        (range(3), "texts[0] is int (0), expected str"),
        (True, "texts is bool (True), expected a str or an iterable of str"),
        (pa.array(["a"]), "texts[0] is StringScalar, expected str: pass to_pylist() of the column"),
        (
            np.array([["a", "b"]]),
            (
                "texts is ndarray of 2 dimensions, expected one: choose a column, or put a single "
                "text in a list"
            ),
        ),
        (
            np.array("a"),
            (
                "texts is ndarray of 0 dimensions, expected one: choose a column, or put a single "
                "text in a list"
            ),
        ),
        (
            _Table("a", "b"),
            (
                "texts is _Table of 2 dimensions, expected one: choose a column, or put a single "
                "text in a list"
            ),
        ),
        ([object], "texts[0] is type, expected str"),
    ],
)
def test_what_is_no_text_is_named(texts: Any, message: str, tiny: Encoder) -> None:
    with pytest.raises(TextTypeError, match=f"^{re.escape(message)}$") as caught:
        tiny.encode(texts)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ToolkitError)
    assert caught.value.exit_code == 2


def test_a_lone_surrogate_is_named(tiny: Encoder) -> None:
    message = (
        "texts[1] has a lone surrogate, U+D800, at character 2: it is no text in any encoding; "
        "decode with errors='replace'"
    )
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$") as caught:
        tiny.encode(["fine 😀", "ab\ud800"])
    assert isinstance(caught.value, ValueError)


def test_a_lone_surrogate_far_into_a_text() -> None:
    with pytest.raises(UsageError, match="at character 3000000:"):
        validate_texts(["é" * 3_000_000 + "\udfff"])


def test_a_lone_surrogate_in_a_single_text(tiny: Encoder) -> None:
    with pytest.raises(UsageError, match=r"^the text has a lone surrogate"):
        tiny.encode("\udc80")


def test_positions_in_a_stream_count_from_its_start(tiny: Encoder) -> None:
    blocks = tiny.iter_encode(["a", "b", "c", None], batch_size=2)  # type: ignore[list-item]  # the point
    assert next(blocks).shape == (2, 32)
    with pytest.raises(TextTypeError, match=r"^texts\[3\] is None, expected str$"):
        next(blocks)


@pytest.mark.parametrize("name", ["embed_query", "chunks"])
def test_one_text_is_asked_for(name: str, tiny: Encoder) -> None:
    with pytest.raises(TextTypeError, match=r"^the text is a list \(str\), expected str$"):
        getattr(tiny, name)(["a"])
