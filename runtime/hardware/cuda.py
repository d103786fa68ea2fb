"""The NVIDIA GPU that CUDA would run on: asked of the driver, before anything large is loaded.

ONNX Runtime names its CUDA provider wherever it was built with one, GPU or not, and finds out while
it makes a session: too late to choose another variant.
"""

import contextlib
import ctypes
import io
import sys
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["PROVIDER", "Gpu", "detect_gpu"]

PROVIDER: Final = "CUDAExecutionProvider"

_CAPABILITY: Final = (75, 76)
"""`CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR` and `_MINOR` of CUDA's driver API."""
_NAME_BYTES: Final = 256


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """The first GPU that this process may use, or why there is none.

    Attributes:
        name: Name that the driver gives it; empty without a GPU.
        capability: Compute capability, such as (9, 0); (0, 0) without a GPU.
        obstacle: Reason why CUDA cannot run here; empty if it can.
    """

    name: str = ""
    capability: tuple[int, int] = (0, 0)
    obstacle: str = ""


def detect_gpu() -> Gpu:
    """Ask the driver for the first GPU, then load CUDA's libraries for it.

    The libraries that pip installs stand where no linker looks; ONNX Runtime knows where, and loads
    them on request.
    """
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError as error:
        return Gpu(obstacle=f"no NVIDIA driver ({error})")
    count = ctypes.c_int()
    code = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if code or not count.value:
        return Gpu(obstacle=f"the NVIDIA driver shows no GPU to this process (its code: {code})")
    name, capability = _identity(driver)
    return Gpu(name=name, capability=capability, obstacle=_load_libraries())


def _identity(driver: Any) -> tuple[str, tuple[int, int]]:
    device, value = ctypes.c_int(), ctypes.c_int()
    driver.cuDeviceGet(ctypes.byref(device), 0)
    name = ctypes.create_string_buffer(_NAME_BYTES)
    driver.cuDeviceGetName(name, _NAME_BYTES, device)
    numbers = []
    for attribute in _CAPABILITY:
        driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        numbers.append(value.value)
    return name.value.decode(errors="replace"), (numbers[0], numbers[1])


def _load_libraries() -> str:
    """Load CUDA and cuDNN; what is missing, if anything is."""
    import onnxruntime

    preload = getattr(onnxruntime, "preload_dlls", None)  # since 1.21
    if preload is None:
        return ""
    # It prints what it misses, and raises nothing; a line with a path is not its last try.
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        preload(msvc=False)
    failed = "Failed to load "
    lines = (line.removeprefix(failed) for line in said.getvalue().splitlines() if failed in line)
    missing = [line.partition(":")[0] for line in lines if "/" not in line.partition(":")[0]]
    if not missing:
        return ""
    return f'CUDA is missing ({", ".join(missing)}): pip install "minilm-toolkit[cuda]"'
