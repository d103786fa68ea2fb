"""What a report says of the machine: versions, processor, system; no host name, no path."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from minilm.runtime.hardware.host import detect_host

__all__ = ["describe_environment"]

_DISTRIBUTIONS: Final = (
    "minilm-toolkit",
    "numpy",
    "tokenizers",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "torch",
    "transformers",
    "sentence-transformers",
)


def describe_environment() -> dict[str, str]:
    """Name to value, in a fixed order."""
    machine = detect_host(providers=False)
    found = {
        "system": f"{machine.system} {machine.arch}",
        "processor": _processor(),
        "instruction sets": " ".join(machine.instruction_sets),
        "cores": str(machine.cores),
        "python": platform.python_version(),
    }
    for name in _DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or "unknown"
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown"
