"""The places where a graph can run, each a module that follows `Target`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from minilm.optimize.calibrator import Calibrator
from minilm.optimize.exported import ExportedModel
from minilm.optimize.targets import cpu, cuda, native, openvino
from minilm.runtime.manifest import Variant

__all__ = ["TARGETS", "Target"]


class Target(Protocol):
    """Where a graph runs: a module that makes the fastest graph that still passes there."""

    @property
    def precisions(self) -> Sequence[str]:
        """The precisions that `build` knows, in the order to build them."""

    def build(
        self, exported: ExportedModel, precision: str, bundle: Path, calibration: Calibrator
    ) -> Variant:
        """Write the variant's files below `bundle` and describe them.

        Args:
            exported: The portable graph.
            precision: One of `precisions`.
            bundle: Directory of the bundle that is being made.
            calibration: Statistics for int8; fp32, bf16 and fp16 leave it alone.

        Raises:
            BuildFailed: A pass matched another number of patterns than it promised.
        """


TARGETS: Final[Mapping[str, Target]] = {
    "cpu": cpu,
    "openvino": openvino,
    "cuda": cuda,
    "native": native,
}
