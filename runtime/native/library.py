"""The native encoder behind its C ABI (`include/minilm_native.h`), reached by ctypes.

A call releases the GIL. The shared library is opened when it is first needed.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from minilm.runtime.errors import (
    BackendUnavailable,
    EncoderUnusable,
    InvalidArtifact,
    UsageError,
)
from minilm.runtime.native import LIBRARY_PATH

__all__ = ["NativeEncoder", "available_kernels", "measure_peak"]

_ABI: Final = 1
_ERROR_SIZE: Final = 1024

_EXCEPTIONS: Final[dict[int, type[Exception]]] = {
    1: UsageError,
    2: InvalidArtifact,
    3: BackendUnavailable,
    4: MemoryError,
}
"""MinilmStatus to the exception that it becomes; any other is a fault of the library."""


def available_kernels(path: Path = LIBRARY_PATH) -> tuple[str, ...]:
    """Names of the kernels that this processor can run, fastest first.

    Raises:
        BackendUnavailable: the library is not there or cannot be opened.
    """
    names: bytes = _library(path).minilm_native_kernels()
    return tuple(names.decode().split(","))


def measure_peak(
    kernel: str | None = None, *, seconds: float = 0.1, path: Path = LIBRARY_PATH
) -> float:
    """Measure the int8 operations per second of one core with all operands in registers.

    Args:
        kernel: name of a kernel; None takes the fastest.
        seconds: duration of the measurement.
        path: shared library to use.

    Raises:
        BackendUnavailable: no library, or this processor cannot run the kernel.
    """
    rate = ctypes.c_double()
    name = kernel.encode() if kernel is not None else None
    _call(_library(path).minilm_native_peak, name, seconds, ctypes.byref(rate))
    return rate.value


class NativeEncoder:
    """A model that is open in the native encoder; any number of threads may use it at once.

    Args:
        weights: content of a weight file, `native/model_int8.safetensors`. It is copied.
        kernel: name of the kernel to run on; None takes the fastest.
        path: shared library to use.

    Attributes:
        kernel: name of the kernel in use.
        dimension: elements of a vector.
        max_tokens: tokens of the longest text.

    Raises:
        InvalidArtifact: the weight file is damaged, or of an unknown format or architecture.
        BackendUnavailable: no library, or this processor cannot run the kernel.
    """

    kernel: str
    dimension: int
    max_tokens: int

    def __init__(
        self,
        weights: bytes | bytearray | memoryview,
        *,
        kernel: str | None = None,
        path: Path = LIBRARY_PATH,
    ) -> None:
        # A call keeps a reference to the handle, so closing never frees what is in use, and there
        # is no lock that a fork could copy in a locked state.
        self._handle: _Handle | None = _Handle(_library(path), weights, kernel)
        library, pointer = self._handle.library, self._handle.pointer
        self.kernel = library.minilm_native_kernel(pointer).decode()
        self.dimension = library.minilm_native_dimension(pointer)
        self.max_tokens = library.minilm_native_max_tokens(pointer)

    def encode(
        self,
        ids: npt.NDArray[np.integer],
        offsets: npt.NDArray[np.integer],
        *,
        threads: int = 1,
    ) -> npt.NDArray[np.float32]:
        """Embed texts that are given as tokens.

        Args:
            ids: int32, (tokens,), ids of all texts, one text after another.
            offsets: int64, (texts + 1,), where each text begins in `ids`, and the end.
            threads: number of threads, at least 1.

        Returns:
            float32, (texts, dimension). A text's bytes depend neither on the other texts, nor on
            `threads`, nor on the kernel.

        Raises:
            UsageError: a text has no tokens or too many, an id is out of range, or `threads` is.
            EncoderUnusable: the encoder was closed.
        """
        handle = self._handle
        if handle is None:
            raise EncoderUnusable("this encoder was closed: load it again")
        ids = np.ascontiguousarray(ids, np.int32)
        offsets = np.ascontiguousarray(offsets, np.int64)
        if len(offsets) == 0 or offsets[-1] != len(ids):
            end = offsets[-1] if len(offsets) else "missing"
            raise UsageError(f"the last offset is {end}, expected is the number of ids, {len(ids)}")
        vectors = np.empty((len(offsets) - 1, self.dimension), np.float32)
        _call(
            handle.library.minilm_native_encode,
            *(handle.pointer, ids.ctypes.data, offsets.ctypes.data, len(offsets) - 1),
            *(threads, vectors.ctypes.data),
        )
        return vectors

    def close(self) -> None:
        """Free the model once no call uses it; may be called twice."""
        self._handle = None


class _Handle:
    """Owner of one MinilmEncoder."""

    def __init__(
        self, library: Any, weights: bytes | bytearray | memoryview, kernel: str | None
    ) -> None:
        self.library = library
        self.pointer: int | None = None
        data = np.frombuffer(weights, np.uint8)
        name = kernel.encode() if kernel is not None else None
        pointer = ctypes.c_void_p()
        _call(library.minilm_native_open, data.ctypes.data, len(data), name, ctypes.byref(pointer))
        self.pointer = pointer.value

    def __del__(self) -> None:
        if self.pointer is not None:
            self.library.minilm_native_close(self.pointer)


def _call(function: Callable[..., int], *arguments: object) -> None:
    """Call a function of the ABI that reports a status, and raise what the status says."""
    text = ctypes.create_string_buffer(_ERROR_SIZE)
    status = function(*arguments, text, _ERROR_SIZE)
    if status:
        message = text.value.decode(errors="replace")
        raise _EXCEPTIONS.get(status, RuntimeError)(message)


@cache
def _library(path: Path) -> Any:
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        found = f"cannot be opened: {error}" if path.exists() else "is not there"
        raise BackendUnavailable(
            f"the native encoder {path.name} {found}; it is compiled when minilm-toolkit is "
            "installed from source and a C++17 compiler is found"
        ) from error
    library.minilm_native_abi.restype = ctypes.c_int32
    if (abi := library.minilm_native_abi()) != _ABI:
        raise BackendUnavailable(
            f"the native encoder {path.name} has interface {abi} and this release uses {_ABI}: "
            "install minilm-toolkit again"
        )
    pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    signatures: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "open": (ctypes.c_int32, (pointer, size, text, pointer, text, size)),
        "encode": (
            ctypes.c_int32,
            (pointer, pointer, pointer, ctypes.c_int64, ctypes.c_int32, pointer, text, size),
        ),
        "close": (None, (pointer,)),
        "dimension": (ctypes.c_int64, (pointer,)),
        "max_tokens": (ctypes.c_int64, (pointer,)),
        "kernel": (text, (pointer,)),
        "kernels": (text, ()),
        "peak": (ctypes.c_int32, (text, ctypes.c_double, pointer, text, size)),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, f"minilm_native_{name}")
        function.restype, function.argtypes = result, arguments
    return library
