"""What this machine lets this process use: instruction sets, cores, installed backends.

Nothing here is asked of a backend but ONNX Runtime's providers, and that only on request: a load
must not import what it will not run. No more is the GPU's driver, if CUDA is out of the question.
"""

import importlib.util
import math
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from minilm.runtime import gpu as gpus

__all__ = ["BACKEND_MODULES", "Host", "allowed_cores", "describe", "has_cuda_provider"]

BACKEND_MODULES: Final = ("onnxruntime", "openvino")

_ARCHITECTURES: Final = {"amd64": "x86_64", "x64": "x86_64", "aarch64": "arm64"}

# /proc/cpuinfo's names, of the sets that decide between variants.
_RELEVANT: Final = (
    "amx_int8", "amx_bf16", "avx512_vnni", "avx512_bf16", "avx_vnni", "avx512f", "avx2",
    "asimddp", "i8mm", "bf16",
)  # fmt: skip

# NumPy's names for the same, where there is no /proc/cpuinfo.
_NUMPY_NAMES: Final = {
    "AVX512VNNI": "avx512_vnni",
    "AVX512F": "avx512f",
    "AVX2": "avx2",
    "ASIMDDP": "asimddp",
}


@dataclass(frozen=True, kw_only=True)
class Host:
    """Facts that decide which variant runs best.

    Attributes:
        system: "Linux", "Darwin", "Windows".
        arch: "x86_64", "arm64", or as the platform calls it.
        instruction_sets: those that matter to the variants, by Linux's names.
        cores: that this process may really use, at least 1.
        cores_reason: where that number comes from.
        backends: module name to version, of those installed.
        providers: ONNX Runtime's, or None if they were not asked for.
        gpu: for its CUDA provider; None if it has no such provider, or was not asked.
    """

    system: str
    arch: str
    instruction_sets: tuple[str, ...]
    cores: int
    cores_reason: str
    backends: Mapping[str, str]
    providers: tuple[str, ...] | None
    gpu: gpus.Gpu | None = None


def describe(*, providers: bool = True, gpu: bool = True) -> Host:
    """Look at this machine.

    Args:
        providers: also import ONNX Runtime, if installed, and ask for its providers.
        gpu: if one of them is CUDA's, also ask the driver for a GPU, and load CUDA for it.
    """
    cores, reason = allowed_cores()
    backends = {name: found for name in BACKEND_MODULES if (found := _installed(name))}
    available: tuple[str, ...] | None = None
    if providers:
        available = ()
        if "onnxruntime" in backends:
            import onnxruntime

            available = tuple(onnxruntime.get_available_providers())
    machine = platform.machine().lower()
    return Host(
        system=platform.system(),
        arch=_ARCHITECTURES.get(machine, machine),
        instruction_sets=_instruction_sets(),
        cores=cores,
        cores_reason=reason,
        backends=backends,
        providers=available,
        gpu=gpus.find() if gpu and available and gpus.PROVIDER in available else None,
    )


def has_cuda_provider() -> bool:
    """Whether the ONNX Runtime installed here has a CUDA provider: a look at its files, no import.

    It is a library of its own in every build that has it (onnxruntime, cmake/
    onnxruntime_providers_cuda.cmake).
    """
    spec = importlib.util.find_spec("onnxruntime")
    folders = (spec and spec.submodule_search_locations) or ()
    return any(any(Path(each).glob("capi/*onnxruntime_providers_cuda.*")) for each in folders)


def allowed_cores(root: Path = Path("/")) -> tuple[int, str]:
    """Cores this process may use: the least of affinity mask and cgroup quota, rounded up.

    Args:
        root: where `proc` and `sys` stand.

    Returns:
        The number, at least 1, and the facts behind it.
    """
    if sys.platform == "linux":
        cores, reason = len(os.sched_getaffinity(0)), "affinity mask"
    else:
        cores, reason = os.cpu_count() or 1, "the machine's count"
    reason = f"{cores} by {reason}"
    for quota, source in _cgroup_quotas(root):
        reason += f", {quota:g} by {source}"
        # Rounded up as Go and the JVM do: a quota of 1.5 leaves half a core idle otherwise.
        cores = min(cores, max(1, math.ceil(quota)))
    return cores, reason


def _cgroup_quotas(root: Path) -> Iterator[tuple[float, str]]:
    """Each CPU quota (in cores) that binds this process, with the file that sets it."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            mounts, read = ("sys/fs/cgroup", "sys/fs/cgroup/unified"), _quota_v2
        elif "cpu" in controllers.split(","):
            mounts, read = (f"sys/fs/cgroup/{controllers}", "sys/fs/cgroup/cpu"), _quota_v1
        else:
            continue
        mount = next((root / name for name in mounts if (root / name).is_dir()), None)
        if mount is None:
            continue
        group = PurePosixPath(path.lstrip("/"))
        # A limit on any ancestor binds too. In a container the path may be the host's: the
        # levels that do not exist here are passed over, and the mount's own root remains.
        for level in (group, *group.parents):
            if quota := read(mount / level):
                yield quota


def _quota_v2(directory: Path) -> tuple[float, str] | None:
    file = directory / "cpu.max"
    fields = _read_fields(file)
    if len(fields) != 2 or not all(field.isdigit() for field in fields) or fields[1] == "0":
        return None
    return int(fields[0]) / int(fields[1]), f"cgroup v2 {file}"


def _quota_v1(directory: Path) -> tuple[float, str] | None:
    file = directory / "cpu.cfs_quota_us"
    fields = [*_read_fields(file), *_read_fields(directory / "cpu.cfs_period_us")]
    if len(fields) != 2 or not all(field.isdigit() for field in fields) or fields[1] == "0":
        return None
    return int(fields[0]) / int(fields[1]), f"cgroup v1 {file}"


def _read_fields(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        return []


def _instruction_sets(cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[str, ...]:
    has: set[str] = set()
    try:
        with cpuinfo.open(encoding="ascii", errors="replace") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() in {"flags", "Features"}:
                    has.update(value.split())
                    break
    except OSError:
        has.update(_instruction_sets_of_numpy())
    return tuple(name for name in _RELEVANT if name in has)


def _instruction_sets_of_numpy() -> Iterator[str]:
    import numpy as np

    # Not public, and the only table of CPU features at hand on macOS and Windows: absent is empty.
    core = getattr(getattr(np, "_core", None), "_multiarray_umath", None)
    features = getattr(core, "__cpu_features__", {})
    return (ours for theirs, ours in _NUMPY_NAMES.items() if features.get(theirs))


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
