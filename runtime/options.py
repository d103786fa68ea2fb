"""The arguments of `load`, as data: what pickles, Chroma and copies of an encoder are made from.

And those of `encode`, as types.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, SupportsIndex, TypedDict

from minilm.runtime.artifact import VARIANTS
from minilm.runtime.errors import UsageError
from minilm.runtime.integrity import IntegrityLevel, check_level
from minilm.runtime.validation import OnLong, check_on_long, check_positive

__all__ = ["EncodeChoices", "LoadOptions", "split_variant"]


class EncodeChoices(TypedDict, total=False):
    """The arguments of `encode` that do not change the type of its result."""

    batch_size: SupportsIndex | None
    show_progress_bar: bool
    normalize_embeddings: bool
    on_long: OnLong | None
    prompt: str | None
    prompt_name: str | None


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


def split_variant(
    variant: str, *, target: str | None = None, precision: str | None = None
) -> tuple[str, str]:
    """Target and precision of a variant asked for by name.

    Args:
        variant: Name of the variant, as "cpu/int8".
        target: Target that was asked for beside it; None for none.
        precision: Precision that was asked for beside it; None for none.

    Raises:
        UsageError: There is no such variant, or what was asked for beside it.
    """
    if variant not in VARIANTS:
        raise UsageError(f"unknown variant {variant!r}: choose one of {', '.join(VARIANTS)}")
    if target is not None or precision is not None:
        raise UsageError(f"variant={variant!r} says target and precision: give it or those two")
    target, precision = variant.split("/")
    return target, precision
