"""Writes the native encoder's weight file: safetensors whose bytes depend on its content alone."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["write_weight_file"]

_DTYPES: Final = {np.dtype(np.int8): "I8", np.dtype(np.float32): "F32"}
_ALIGNMENT: Final = 64
"""Bytes: float32 tensors come first, so all of them begin at a multiple of their size."""


def write_weight_file(
    path: Path, tensors: Mapping[str, npt.NDArray[Any]], architecture: Mapping[str, Any]
) -> None:
    """Write tensors and architecture as `runtime/native/README.md` describes them.

    The safetensors library writes metadata in the order of a hash that differs from process to
    process; here names are sorted.

    Args:
        path: File to write.
        tensors: int8 and float32 arrays by name.
        architecture: Numbers of the model, as JSON data.
    """
    order = sorted(tensors, key=lambda name: (tensors[name].dtype != np.float32, name))
    header: dict[str, Any] = {
        "__metadata__": {
            "architecture": json.dumps(architecture),
            "format": "minilm-native",
            "format_version": "1",
        }
    }
    end = 0
    for name in order:
        start, end = end, end + tensors[name].nbytes
        header[name] = {
            "dtype": _DTYPES[tensors[name].dtype],
            "shape": tensors[name].shape,
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % _ALIGNMENT)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            file.write(np.ascontiguousarray(tensors[name]).astype(tensors[name].dtype).tobytes())
