"""Read the JSON files of a model directory."""

import json
from pathlib import Path
from typing import Any, Final

from minilm.runtime.errors import InvalidArtifact, SourceError
from minilm.runtime.reading import read_regular

__all__ = [
    "read_json",
    "read_object",
    "read_optional_object",
    "refuse_special_files",
    "whole_number",
]

_MOST_BYTES: Final = 1 << 28
"""The largest of these files are tokenizers, of some 20 MB."""


def refuse_special_files(folder: Path) -> None:
    """Refuse pipes and devices: a library that reads one would wait for ever, or fill memory.

    Raises:
        SourceError: there is one; names it.
    """
    for path in sorted(folder.iterdir()):
        if path.exists() and not path.is_file() and not path.is_dir():
            raise SourceError(f"{path} is a pipe, a device or a socket: put a file there")


def read_json(path: Path) -> Any:
    """Parse a file that a model directory must have.

    Raises:
        SourceError: it is missing, cannot be read, or is not JSON.
    """
    try:
        return json.loads(read_regular(path, _MOST_BYTES).decode("utf-8"))
    except FileNotFoundError as error:
        raise SourceError(
            f"{path.parent} has no {path.name}: it is not a sentence-transformers model directory"
        ) from error
    except (InvalidArtifact, OSError, ValueError, RecursionError) as error:
        raise SourceError(f"cannot read {path}: {error}") from error


def read_object(path: Path) -> dict[str, Any]:
    """Parse a file that a model directory must have and that holds a JSON object.

    Raises:
        SourceError: it is missing, cannot be read, or holds something else.
    """
    data = read_json(path)
    if not isinstance(data, dict):
        raise SourceError(f"{path} holds {type(data).__name__}, expected a JSON object")
    return data


def read_optional_object(path: Path) -> dict[str, Any]:
    """Parse a file that a model directory may have; an empty dict where there is none.

    Raises:
        SourceError: it cannot be read, or holds something else than a JSON object.
    """
    return read_object(path) if path.exists() else {}


def whole_number(data: dict[str, Any], field: str, path: Path) -> int:
    """The field of a JSON object that must hold a whole number above 0.

    Raises:
        SourceError: it is missing or holds something else; names the field and the file.
    """
    value = data.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SourceError(f"{path} has {field} {value!r}, expected a whole number above 0")
    return value
