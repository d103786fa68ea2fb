"""The processor as this process may use it: cores, cgroup quotas, instruction sets."""

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

__all__ = ["available_cores", "instruction_sets"]

# /proc/cpuinfo's names, of the sets that decide between variants.
_RELEVANT: Final = (
    "amx_int8", "amx_bf16", "avx512_vnni", "avx512_bf16", "avx_vnni", "avx512f", "avx2",
    "asimddp", "i8mm", "bf16",
)  # fmt: skip

# A processor with the first has the others too; a list that says otherwise is not to be believed.
_IMPLIED: Final = {
    "amx_int8": ("avx512f", "avx2"),
    "amx_bf16": ("avx512f", "avx2"),
    "avx512_vnni": ("avx512f", "avx2"),
    "avx512_bf16": ("avx512f", "avx2"),
    "avx512f": ("avx2",),
    "avx_vnni": ("avx2",),
}

# NumPy's names for the same, where there is no /proc/cpuinfo.
_NUMPY_NAMES: Final = {
    "AVX512VNNI": "avx512_vnni",
    "AVX512F": "avx512f",
    "AVX2": "avx2",
    "ASIMDDP": "asimddp",
}


def available_cores(root: Path = Path("/")) -> tuple[int, str]:
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


def instruction_sets(cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[str, ...]:
    """Instruction sets that decide between variants, by Linux's names, best first.

    Empty if the processor is unknown, or if its list contradicts itself, as that of an emulator or
    a misconfigured virtual machine may.
    """
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
    if any(name in has and not has.issuperset(others) for name, others in _IMPLIED.items()):
        return ()
    return tuple(name for name in _RELEVANT if name in has)


def _instruction_sets_of_numpy() -> Iterator[str]:
    import numpy as np

    # Not public, and the only table of CPU features at hand on macOS and Windows: absent is empty.
    core = getattr(getattr(np, "_core", None), "_multiarray_umath", None)
    features = getattr(core, "__cpu_features__", {})
    return (ours for theirs, ours in _NUMPY_NAMES.items() if features.get(theirs))
