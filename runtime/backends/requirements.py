"""Reasons why a backend cannot run a variant on a host, each with what to do about it."""

import re

from minilm.runtime.hardware.cuda import PROVIDER, Gpu
from minilm.runtime.hardware.host import Host
from minilm.runtime.manifest import Variant
from minilm.runtime.native import is_built

__all__ = ["cuda_gpu", "install_line", "native_library", "new_enough", "nothing_more"]


def nothing_more(_variant: Variant, _host: Host) -> str | None:
    """No reason: a backend that is installed runs its variants."""
    return None


def new_enough(variant: Variant, found: str | None, extra: str) -> str | None:
    """Why a backend of version `found` cannot run `variant`, or None.

    Args:
        variant: The variant and the version that it needs.
        found: Version that is installed; None if none is.
        extra: Extra that installs the backend.
    """
    if found is None:
        return f"{variant.backend} is not installed: {install_line(extra)}"
    if _numbers(found) < _numbers(variant.backend_version):
        return (
            f"it needs {variant.backend} {variant.backend_version} or later and {found} is"
            f" installed: {install_line(extra, upgrade=True)}"
        )
    return None


def cuda_gpu(variant: Variant, host: Host) -> str | None:
    """Why CUDA cannot run `variant` on `host`, or None."""
    if PROVIDER not in (host.providers or ()):
        only = f", only {', '.join(host.providers)}" if host.providers else ""
        return f"the ONNX Runtime installed here has no {PROVIDER}{only}: {install_line('cuda')}"
    return _unfit_gpu(variant, host.gpu) if host.gpu else None


def native_library(_variant: Variant, _host: Host) -> str | None:
    """Why the project's own encoder cannot run here, or None."""
    if is_built():
        return None
    return (
        "this installation has no compiled encoder: install minilm-toolkit from a wheel for this "
        "platform, or from source where there is a C++17 compiler"
    )


def install_line(extra: str | None, *, upgrade: bool = False) -> str:
    """The command that installs an extra; None is the distribution without any."""
    package = "minilm-toolkit" if extra is None else f'"minilm-toolkit[{extra}]"'
    return f"pip install {'--upgrade ' if upgrade else ''}{package}"


def _unfit_gpu(variant: Variant, gpu: Gpu) -> str | None:
    if gpu.obstacle:
        return gpu.obstacle
    least = next((name for name in variant.instruction_sets if name.startswith("sm_")), "sm_0")
    has = gpu.capability[0] * 10 + gpu.capability[1]
    if has < int(least.removeprefix("sm_")):
        return f"it is made for {least} and later, and {gpu.name} is sm_{has}"
    return None


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: "1.20.1rc1" gives 1, 20, 1."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(field) for field in match.group().split(".")) if match else ()
