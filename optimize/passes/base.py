"""What a graph rewrite is, and the runner that holds each to what it promises."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import onnx_ir as ir
from minilm.runtime.errors import BuildFailed
from onnx_ir.passes import common

__all__ = ["Changes", "Pass", "run", "tidy"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What one pass did.

    Attributes:
        model: the rewritten graph (the one given, where the pass works in place).
        counts: pattern or operator to how often it was rewritten or made.
    """

    model: ir.Model
    counts: Mapping[str, int] = field(default_factory=dict)


class Pass(Protocol):
    """One rewrite. Options are constructor arguments of the class that implements it."""

    @property
    def promises(self) -> Mapping[str, int]:
        """Pattern to the count that `Changes.counts` must have; anything else fails the build."""

    def __call__(self, model: ir.Model) -> Changes:
        """Rewrite `model`."""


def run(model: ir.Model, passes: Sequence[Pass]) -> ir.Model:
    """Apply `passes` in order.

    Raises:
        BuildFailed: a pass matched another number of patterns than it promised; the message names
            the pass, the pattern and the passes before it.
    """
    done: list[str] = []
    for rewrite in passes:
        name = type(rewrite).__name__
        changes = rewrite(model)
        for pattern, wanted in rewrite.promises.items():
            found = changes.counts.get(pattern, 0)
            if found != wanted:
                raise BuildFailed(
                    f"pass {name}: expected {wanted} of pattern {pattern!r} and rewrote {found}; "
                    f"passes before it: {', '.join(done) or 'none'}"
                )
        _log.debug("pass %s: %s", name, dict(changes.counts))
        done.append(name)
        model = changes.model
    return model


def tidy(model: ir.Model) -> ir.Model:
    """Drop what the rewrites left unused and put the rest into a fixed order."""
    ir.passes.Sequential(
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedOpsetsPass(),
        common.TopologicalSortPass(),
        common.ClearMetadataAndDocStringPass(),
    )(model)
    graph = model.graph
    order = sorted(graph.initializers.items())
    graph.initializers.clear()
    graph.initializers.update(order)
    return model
