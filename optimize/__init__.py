"""The portable graph to the fastest one that still passes, for each target and precision.

`targets/` has a module for each place where a graph runs, `passes/` a module for each family of
rewrites. Nothing is judged here: that is `minilm.verify`'s, which shares no code with this.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from minilm.optimize.corpus import read_texts, texts
from minilm.optimize.spec import Exported
from minilm.runtime.errors import UsageError
from minilm.runtime.extras import require_extra
from minilm.runtime.manifest import Variant

if TYPE_CHECKING:
    from minilm.optimize.report import LayerReport

__all__ = ["Exported", "build_variant", "check_graph", "explain", "read_texts"]

_TENSORS: Final = ("input_ids", "attention_mask", "last_hidden_state", "sentence_embedding")


def check_graph(path: Path) -> None:
    """Find out before the work starts whether `path` is a graph that can be optimized.

    Raises:
        BackendUnavailable: the extra `build` is not installed.
        UsageError: not an ONNX graph, or not one that `toolkit export` wrote.
    """
    with require_extra("build", "Reading a graph"):
        import onnx
        from google.protobuf.message import DecodeError
    hint = "give one that `toolkit export` wrote"
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except (DecodeError, OSError) as error:
        raise UsageError(
            f"{path} is not an ONNX graph ({error}): {hint}", option="GRAPH"
        ) from error
    found = {value.name for value in (*graph.input, *graph.output)}
    if missing := [name for name in _TENSORS if name not in found]:
        raise UsageError(f"{path} has no {', '.join(missing)}: {hint}", option="GRAPH")


def build_variant(
    exported: Exported, name: str, bundle: Path, corpus: Sequence[str] | None = None
) -> Variant:
    """Build one variant and write its files below `bundle`.

    Args:
        exported: the portable graph.
        name: "target/precision", one of `minilm.runtime.manifest.VARIANTS`.
        bundle: directory of the bundle that is being made.
        corpus: calibration texts for int8; None for the project's own.

    Raises:
        BackendUnavailable: the extra `build` is not installed.
        BuildFailed: a pass matched another number of patterns than it promised.
        ValueError: there is no such variant.
    """
    target, _, precision = name.partition("/")
    with require_extra("build", f"Building {name}"):
        from minilm.optimize.targets import TARGETS
    if target not in TARGETS or precision not in TARGETS[target].precisions:
        known = [f"{name}/{p}" for name, module in TARGETS.items() for p in module.precisions]
        raise ValueError(f"unknown variant {name!r}; known: {', '.join(known)}")
    return TARGETS[target].build(exported, precision, bundle, corpus or texts())


def explain(
    exported: Exported, corpus: Sequence[str] | None = None
) -> tuple[tuple["LayerReport", ...], str]:
    """Measure why each layer has its precision: the figures, and the same as an SVG picture.

    Raises:
        BackendUnavailable: the extra `build` is not installed.
        BuildFailed: no plan reaches the gate; names the layers tried and the best figures.
    """
    with require_extra("build", "Explaining precisions"):
        from minilm.optimize.report import explain_layers, to_svg
    layers = explain_layers(exported, corpus or texts())
    return layers, to_svg(layers)
