"""The table of backends: one record for each library that runs graphs.

Selection, loading, `doctor` and `verify` ask this table; nothing in it imports a backend or NumPy.
A record names the module of this package that opens its sessions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from minilm.runtime.backends.requirements import (
    cuda_gpu,
    native_library,
    new_enough,
    nothing_more,
)
from minilm.runtime.hardware.cuda import PROVIDER as CUDA_PROVIDER
from minilm.runtime.hardware.host import Host
from minilm.runtime.manifest import Variant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from minilm.runtime.backends.batch import TokenBatch, Vectors

__all__ = ["BACKENDS", "BACKEND_MODULES", "CPU_PROVIDER", "Backend", "Session", "SessionOptions"]

CPU_PROVIDER: Final = "CPUExecutionProvider"


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """How to run a graph. A backend ignores what it has no use for.

    Attributes:
        threads: Threads that may run batches at the same time.
        max_tokens: Tokens of the longest row, [CLS] and [SEP] included.
        provider: ONNX Runtime provider to run on; None for the target's own.
        cache_dir: Folder in which OpenVINO keeps compiled graphs; None for no cache.
    """

    threads: int
    max_tokens: int
    provider: str | None = None
    cache_dir: Path | None = None


class Session(Protocol):
    """A graph that is ready to run.

    Attributes:
        workers: Threads that may usefully call `run` at the same time.
        budget_tokens: Tokens of a batch that runs well.
        survives_fork: Whether a forked child may go on using it.
    """

    workers: int
    budget_tokens: int
    survives_fork: bool

    def rows_within(self, budget_tokens: int, lengths: "Iterable[int]") -> int:
        """How many rows to put into a batch of at most `budget_tokens` tokens, padding included.

        Args:
            budget_tokens: Tokens of the batch.
            lengths: Tokens of the rows that are there, longest first; at least one.

        Returns:
            At least 1, even if that row alone is over the budget. May be more than there are rows.
        """
        ...

    def run(self, batch: "TokenBatch") -> "Vectors":
        """Embed a batch; safe to call from several threads at once.

        Args:
            batch: At least one row, longest first.

        Returns:
            float32, (rows, dimension).
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A library that runs graphs.

    Attributes:
        driver: Module of this package with `open_session(variant, files, options)`.
        module: Module that is imported, and whose version is compared with the variant's.
        extra: Extra of the distribution that installs it; None for the project's own encoder.
        provider: ONNX Runtime provider that it runs on; None for other libraries.
        requirement: Reason why an installed backend cannot run a variant on a host, or None.
    """

    driver: str
    module: str
    extra: str | None
    provider: str | None = None
    requirement: Callable[[Variant, Host], str | None] = nothing_more

    def missing(self, variant: Variant, host: Host) -> str | None:
        """Why the library is not there, or too old for `variant`; None if it is there."""
        if self.extra is None:
            return None
        return new_enough(variant, host.backends.get(self.module), self.extra)

    def unavailable_reason(self, variant: Variant, host: Host) -> str | None:
        """Why `variant` cannot run on `host`; None if it can."""
        return self.missing(variant, host) or self.requirement(variant, host)

    def open_session(
        self, variant: Variant, files: Mapping[str, bytes], options: SessionOptions
    ) -> Session:
        """Make a session of a graph.

        Args:
            variant: Description of the graph.
            files: Content of each of the variant's files, by path.
            options: How to run it.

        Raises:
            BackendUnavailable: The backend cannot run here as `options` ask.
            InvalidArtifact: The backend cannot read the graph.
            UsageError: An option has a value that cannot be used.
        """
        driver = import_module(f"{__name__}.{self.driver}")
        session: Session = driver.open_session(variant, files, options)
        return session


BACKENDS: Final[Mapping[str, Backend]] = {
    "onnxruntime": Backend(
        driver="onnxruntime", module="onnxruntime", extra="cpu", provider=CPU_PROVIDER
    ),
    "onnxruntime-gpu": Backend(
        driver="onnxruntime",
        module="onnxruntime",
        extra="cuda",
        provider=CUDA_PROVIDER,
        requirement=cuda_gpu,
    ),
    "openvino": Backend(driver="openvino", module="openvino", extra="openvino"),
    "minilm-toolkit": Backend(
        driver="native",
        module="minilm.runtime.native.library",
        extra=None,
        requirement=native_library,
    ),
}
"""Each backend by the name that the manifest's variants give it."""

BACKEND_MODULES: Final = tuple(
    dict.fromkeys(backend.module for backend in BACKENDS.values() if backend.extra is not None)
)
"""Modules whose versions decide which variants can run."""
