"""Facts about this machine that decide which variant to run.

Detection imports no backend. ONNX Runtime's providers and the GPU driver are queried only on
request, so that `load` imports only what it runs.
"""

import importlib.util
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from minilm.runtime.hardware import cpu, cuda

__all__ = ["Host", "detect_host", "has_cuda_provider"]

_ARCHITECTURES: Final = {"amd64": "x86_64", "x64": "x86_64", "aarch64": "arm64"}


@dataclass(frozen=True, kw_only=True)
class Host:
    """Facts that decide which variant runs best.

    Attributes:
        system: Operating system: "Linux", "Darwin", "Windows".
        arch: Architecture: "x86_64", "arm64", or as the platform calls it.
        instruction_sets: Instruction sets that matter to the variants, by Linux's names.
        cores: Number of cores that this process may use, at least 1.
        cores_reason: Source of that number.
        backends: Version of each installed module, of those that were looked for.
        providers: Providers of ONNX Runtime; None if it was not queried.
        gpu: GPU for the CUDA provider; None without that provider, or if it was not queried.
    """

    system: str
    arch: str
    instruction_sets: tuple[str, ...]
    cores: int
    cores_reason: str
    backends: Mapping[str, str]
    providers: tuple[str, ...] | None
    gpu: cuda.Gpu | None = None


def detect_host(modules: Iterable[str] = (), *, providers: bool = True, gpu: bool = True) -> Host:
    """Look at this machine.

    Args:
        modules: Modules of backends to look for; none is imported.
        providers: Whether to import ONNX Runtime, if installed, and query its providers.
        gpu: Whether to ask the driver for a GPU and load CUDA for it, if CUDA's provider is there.
    """
    cores, reason = cpu.available_cores()
    backends = {name: found for name in modules if (found := _installed(name))}
    available: tuple[str, ...] | None = None
    if providers:
        available = ()
        if _installed("onnxruntime"):
            import onnxruntime

            available = tuple(onnxruntime.get_available_providers())
    machine = platform.machine().lower()
    return Host(
        system=platform.system(),
        arch=_ARCHITECTURES.get(machine, machine),
        instruction_sets=cpu.instruction_sets(),
        cores=cores,
        cores_reason=reason,
        backends=backends,
        providers=available,
        gpu=cuda.detect_gpu() if gpu and available and cuda.PROVIDER in available else None,
    )


def has_cuda_provider() -> bool:
    """Whether the ONNX Runtime installed here has a CUDA provider: a look at its files, no import.

    It is a library of its own in every build that has it (onnxruntime, cmake/
    onnxruntime_providers_cuda.cmake).
    """
    spec = importlib.util.find_spec("onnxruntime")
    folders = (spec and spec.submodule_search_locations) or ()
    return any(any(Path(each).glob("capi/*onnxruntime_providers_cuda.*")) for each in folders)


def _installed(module: str) -> str | None:
    """Version of an installed module, read from the name of its metadata folder: no import."""
    # A module that another thread is importing still is there, but has no version yet.
    version = getattr(sys.modules.get(module), "__version__", None)
    if version is not None:
        return str(version)
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        return None
    site = Path(next(iter(spec.submodule_search_locations))).parent
    for entry in site.glob("*.dist-info"):
        name, _, version = entry.stem.partition("-")
        if name.lower() in {module, f"{module}_gpu", f"{module}_cpu"}:
            return version
    return "0"
