"""Read the JSON files of a model directory."""

import json
from pathlib import Path
from typing import Any

from minilm.runtime.errors import SourceError

__all__ = ["read_json", "read_object", "read_optional_object", "whole_number"]


def read_json(path: Path) -> Any:
    """Parse a file that a model directory must have.

    Raises:
        SourceError: it is missing, cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SourceError(
            f"{path.parent} has no {path.name}: it is not a sentence-transformers model directory"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
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
