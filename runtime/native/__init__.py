"""An int8 BERT encoder in C++ for CPUs, and what opens it from Python.

Importing this package loads neither NumPy nor the library.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from minilm.runtime.native.library import (
        NativeEncoder,
        available_kernels,
        measure_peak,
    )

__all__ = ["LIBRARY_PATH", "NativeEncoder", "available_kernels", "is_built", "measure_peak"]

_SUFFIXES: Final = {"darwin": ".dylib", "win32": ".dll"}
LIBRARY_PATH: Final = Path(__file__).with_name("minilm_native" + _SUFFIXES.get(sys.platform, ".so"))
"""Where the package's build puts the compiled library."""


def is_built() -> bool:
    """Whether this installation has the compiled library: a look at the file, it is not opened."""
    return LIBRARY_PATH.exists()


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from minilm.runtime.native import library

    return getattr(library, name)
