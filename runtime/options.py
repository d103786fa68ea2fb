"""The arguments of `load`, as data: what pickles, Chroma and copies of an encoder are made from."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from minilm.runtime.integrity import IntegrityLevel, check_level
from minilm.runtime.validation import OnLong, check_on_long, check_positive

__all__ = ["LoadOptions"]


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """The arguments of `load`, checked. Each means what `load` says of it.

    Attributes:
        path: Directory of the bundle, absolute.
        target: Target that is required; None for any.
        precision: Precision that is required; None for any.
        provider: ONNX Runtime provider to run on; None for the target's own.
        threads: Number of threads; None for one for each core.
        verify: How closely the bundle's files are checked.
        on_long: Treatment of texts over the limit; None to truncate with a warning.
        cache_dir: Folder in which OpenVINO keeps compiled graphs.

    Raises:
        UsageError: An argument has no such value.
    """

    path: Path
    target: str | None = None
    precision: str | None = None
    provider: str | None = None
    threads: int | None = None
    verify: IntegrityLevel = "full"
    on_long: OnLong | None = None
    cache_dir: Path | None = None

    def __post_init__(self) -> None:
        check_level(self.verify)
        if self.on_long is not None:
            check_on_long(self.on_long)
        if self.threads is not None:
            object.__setattr__(self, "threads", check_positive("threads", self.threads))

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of `load`, without `path`."""
        return {
            field.name: getattr(self, field.name) for field in fields(self) if field.name != "path"
        }
