"""A text with the other fields of its record, and how both are found in what a file holds."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from minilm.runtime.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Block = NDArray[np.float32]

__all__ = ["InputCounts", "Place", "Prepared", "Record", "Selection", "clash", "to_json"]

_NO_FIELDS: Final[Mapping[str, Any]] = MappingProxyType({})
_OUTPUT_FIELDS: Final = ("text", "embedding")


class Record(NamedTuple):
    """A text to embed.

    Attributes:
        text: the text itself.
        fields: other fields of its record, which stay beside its vector.
    """

    text: str
    fields: Mapping[str, Any] = _NO_FIELDS

    def fingerprint(self) -> bytes:
        """Bytes that are equal for equal records."""
        text = self.text.encode("utf-8", "surrogatepass")
        if not self.fields:
            return text
        return text + b"\0" + to_json(dict(self.fields), sort_keys=True).encode("ascii")


class Prepared(NamedTuple):
    """A record whose other fields have been chosen already.

    Attributes:
        record: fields in which the text is found.
        fields: fields to keep.
    """

    record: Mapping[str, Any]
    fields: Mapping[str, Any]


class Place(NamedTuple):
    """A place in an input, for messages.

    Attributes:
        source: name of the file, or "standard input".
        unit: kind of the place: "line", "row" or "element".
        number: number of the place, counted from 1.
    """

    source: str
    unit: str
    number: int

    def error(self, problem: str, option: str = "--input") -> UsageError:
        """The error that something is wrong at this place."""
        return UsageError(f"{self.source}, {self.unit} {self.number}: {problem}", option=option)


@dataclass(kw_only=True)
class InputCounts:
    """Counts of an input that has been read so far.

    Attributes:
        records: number of texts.
        blank_lines: number of blank lines of a text file, each of which is an empty text.
        nulls: number of records that were skipped because their text is null.
        first_nulls: places of the first of them.
        fields: names of the other fields that were found in any record, where some were named.
    """

    records: int = 0
    blank_lines: int = 0
    nulls: int = 0
    first_nulls: list[int] = field(default_factory=list)
    fields: set[str] = field(default_factory=set)

    def add_null(self, place: Place) -> None:
        """Count a record that is skipped."""
        self.nulls += 1
        if len(self.first_nulls) < 5:
            self.first_nulls.append(place.number)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Rules for what is taken from each record.

    Attributes:
        field: name of the field that has the text, or a path to it with dots ("meta.body"); None
            for inputs without fields.
        keep: names of the other fields to keep; None for all, empty for none.
        skip_null: whether records whose text is null or absent are skipped instead of refused.
    """

    field: str | None = None
    keep: tuple[str, ...] | None = ()
    skip_null: bool = False

    def take(self, value: Any, place: Place, counts: InputCounts) -> Record | None:
        """The record in `value`, a str, a mapping or `Prepared`; None if it is skipped.

        Raises:
            UsageError: no such field, or it does not hold a text.
        """
        if isinstance(value, Prepared):
            text, fields = self._text_of(value.record, place), value.fields
        elif isinstance(value, Mapping):
            text, fields = self._text_of(value, place), self._others(value, place)
        elif value is None or (isinstance(value, str) and self.field is None):
            text, fields = value, _NO_FIELDS
        else:
            wanted = "a text" if self.field is None else f"a record with field {self.field!r}"
            raise place.error(f"found {_kind(value)}, expected {wanted}")
        if text is None and self.skip_null:
            counts.add_null(place)
            return None
        if not isinstance(text, str):
            hint = ": skip such records with --skip-null" if text is None else ""
            name = f"field {self.field!r}" if self.field is not None else "the text"
            raise place.error(f"{name} is {_kind(text)}, not a string{hint}")
        _check_unicode(text, place)
        counts.records += 1
        if self.keep:
            counts.fields.update(fields)
        return Record(text, fields)

    def _text_of(self, record: Mapping[str, Any], place: Place) -> Any:
        if self.field is None:
            has = ", ".join(record) or "none"
            raise place.error(f"say which field has the text; it has: {has}", "--field")
        value: Any = record
        for step in (self.field,) if self.field in record else self.field.split("."):
            if isinstance(value, Mapping) and step in value:
                value = value[step]
            elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
                value = value[int(step)]
            elif self.skip_null or value is None:
                return None
            else:
                has = ", ".join(_names(record)) or "none"
                raise place.error(f"no field {self.field!r}; it has: {has}")
        return value

    def _others(self, record: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
        names = list(record) if self.keep is None else [n for n in self.keep if n in record]
        fields = {name: record[name] for name in names if name != self.field}
        for name in _OUTPUT_FIELDS:
            if name in fields:
                raise place.error(clash(name), "--keep")
        return fields


def clash(name: str) -> str:
    """The message that a field has the name of one of the output's own."""
    return (
        f"field {name!r} has the name of one of the output's own: say which other fields to keep, "
        "or none: --keep none"
    )


def to_json(value: Any, *, sort_keys: bool = False) -> str:
    """One line of valid JSON in ASCII; what JSON has no form for becomes a string, NaN null."""
    try:
        return json.dumps(value, default=str, sort_keys=sort_keys, allow_nan=False)
    except ValueError:  # NaN or an infinity somewhere in it
        return json.dumps(_finite(value), default=str, sort_keys=sort_keys, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _check_unicode(text: str, place: Place) -> None:
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise place.error(
            f"a lone surrogate, U+{code:04X}, at character {error.start}: it is no text in any "
            "encoding"
        ) from error


def _names(record: Mapping[str, Any]) -> Iterator[str]:
    """Names of fields, and paths to those one level deeper."""
    for name, value in record.items():
        yield name
        if isinstance(value, Mapping):
            yield from (f"{name}.{inner}" for inner in value)


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__
