"""What a report says of its run: date, commit, versions, processor; no host name, no path."""

import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
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
    """Name to value, in a fixed order; the commit, if there is one, is the working directory's."""
    machine = detect_host(providers=False)
    commit = _commit()
    found = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        **({"commit": commit} if commit else {}),
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


def _commit() -> str:
    """The commit that a CI says it runs, or that of the working directory; else empty."""
    for name in ("GITHUB_SHA", "CI_COMMIT_SHA"):
        if os.environ.get(name):
            return os.environ[name]
    git = shutil.which("git")
    if git is None:
        return ""
    command = [git, "rev-parse", "--verify", "--quiet", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)  # noqa: S603 - constant
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


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
