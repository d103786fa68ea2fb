"""The portable graph to the fastest one that still passes, for each target and precision.

`targets/` has a module for each place where a graph runs, `passes/` a module for each family of
rewrites, `calibration/` what int8 is fitted to, `search/` the choice of each layer's precision.
Nothing is judged here: that is `minilm.verify`'s, which shares no code with this.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from minilm.optimize.calibration.corpus import read_texts
from minilm.optimize.exported import ExportedModel, check_graph
from minilm.runtime.extras import require_extra
from minilm.runtime.manifest import Variant

if TYPE_CHECKING:
    from minilm.optimize.calibrator import Calibrator
    from minilm.optimize.search.sensitivity import LayerReport

__all__ = [
    "ExportedModel",
    "build_variant",
    "calibrate",
    "check_graph",
    "explain",
    "read_texts",
    "unsupported_reason",
]


def calibrate(exported: ExportedModel, corpus: Sequence[str] | None = None) -> "Calibrator":
    """The statistics that int8 variants of one model share; they are computed when first needed.

    Args:
        exported: The portable graph.
        corpus: Calibration texts; None for the project's own.

    Raises:
        BackendUnavailable: The extra `build` is not installed.
    """
    with require_extra("build", "Calibrating int8"):
        from minilm.optimize.calibrator import Calibrator
    return Calibrator(exported, corpus)


def build_variant(
    exported: ExportedModel, name: str, bundle: Path, calibration: "Calibrator"
) -> Variant:
    """Build one variant and write its files below `bundle`.

    Args:
        exported: The portable graph.
        name: "target/precision", one of `minilm.runtime.manifest.VARIANTS`.
        bundle: Directory of the bundle that is being made.
        calibration: Statistics for int8, as `calibrate` gives them.

    Raises:
        BackendUnavailable: The extra `build` is not installed.
        BuildFailed: A pass matched another number of patterns than it promised.
        ValueError: There is no such variant.
    """
    target, _, precision = name.partition("/")
    with require_extra("build", f"Building {name}"):
        from minilm.optimize.targets import TARGETS
    if target not in TARGETS or precision not in TARGETS[target].precisions:
        known = [f"{name}/{p}" for name, module in TARGETS.items() for p in module.precisions]
        raise ValueError(f"unknown variant {name!r}; known: {', '.join(known)}")
    return TARGETS[target].build(exported, precision, bundle, calibration)


def unsupported_reason(exported: ExportedModel, name: str) -> str | None:
    """Why there can be no such variant of a model; None if there can.

    Args:
        exported: The portable graph.
        name: "target/precision", one of `minilm.runtime.manifest.VARIANTS`.

    Raises:
        BackendUnavailable: The extra `build` is not installed.
    """
    if not name.startswith("native/"):
        return None
    with require_extra("build", f"Building {name}"):
        from minilm.optimize.targets import native
    return native.unsupported_reason(exported)


def explain(calibration: "Calibrator") -> tuple[tuple["LayerReport", ...], str]:
    """Measure why each layer has its precision: the figures, and the same as an SVG picture.

    Raises:
        BackendUnavailable: The extra `build` is not installed.
        BuildFailed: No plan reaches the gate; names the layers tried and the best figures.
    """
    with require_extra("build", "Explaining precisions"):
        from minilm.optimize.search.sensitivity import explain_layers, to_svg
    layers = explain_layers(calibration)
    return layers, to_svg(layers)
