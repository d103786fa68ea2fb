"""An int8 BERT encoder in C++ for CPUs, and what opens it from Python."""

from minilm.runtime.native.library import (
    NativeEncoder,
    available_kernels,
    is_built,
    measure_peak,
)

__all__ = ["NativeEncoder", "available_kernels", "is_built", "measure_peak"]
