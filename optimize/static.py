"""Static int8 for OpenVINO and CUDA: one scale a layer, and a search for the layers it suits.

A static scale has to hold the largest token and the widest channel, and after GELU a few are a
hundred times the rest. So the channels are made alike first; then each layer's damage is measured
with that layer alone in int8, and as few layers as the gate allows stay in floating point, the most
damaging first.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from minilm.optimize.calibration import Feed, Statistics, feeds, sentence_vectors, statistics
from minilm.optimize.passes.embeddings import HalveWordEmbeddings
from minilm.optimize.passes.graph import Linear, is_gelu, linear_inputs, linears
from minilm.optimize.passes.infra import run
from minilm.optimize.passes.qdq import QuantizeStatic
from minilm.optimize.passes.simplify import simplified
from minilm.optimize.passes.smoothing import Smooth, SmoothGelu
from minilm.optimize.rounding import Rounded, gptq
from minilm.optimize.spec import Exported
from minilm.runtime.errors import BuildFailed
from minilm.runtime.hardware.cpu import available_cores

__all__ = ["Damage", "Recipe", "StaticPlan", "plan", "quantized"]

ALPHA: Final = 0.7
"""Smoothing strength after norms: of 0.5 to 0.9 the best minimum over the calibration texts."""
GELU_ALPHA: Final = 0.85
"""And after GELU, likewise. 0.5 does harm there, and with 1 the weights lose too much."""
STEPS: Final = 4
"""Of a scale to its double: with 1 six layers have to stay in floating point, with 4 two."""
MEAN: Final = 0.999
"""Mean cosine to the fp32 graph that the search asks for over the calibration texts."""
MINIMUM: Final = 0.995
"""And the least, well over the gate's, since held-out texts fall lower than these."""
MOST_LEFT_OUT: Final = 0.5
"""Share of the layers that may stay in floating point before int8 is no longer the word."""
_EVERY: Final = 3
"""One calibration text of so many is searched on: all kinds are in each third of the corpus."""

_EVERY_FOR_DAMAGE: Final = 4
"""And of these one of so many, to tell the layers' damages apart."""

_MOST_AT_ONCE: Final = 4
"""Plans that are judged at once: each holds its graph twice, 300 MB for this model."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Damage:
    """What int8 in one layer alone costs.

    Attributes:
        names: of the linear layers that read one input (Q, K and V together, or one layer).
        mean_loss: 1 - mean cosine to the fp32 graph.
        worst_loss: 1 - least cosine.
    """

    names: tuple[str, ...]
    mean_loss: float
    worst_loss: float


@dataclass(frozen=True, kw_only=True)
class StaticPlan:
    """What `quantized` applies.

    Attributes:
        damages: the most damaging first.
        left_out: names of the layers that stay in floating point.
        mean: cosine to the fp32 graph over the texts that were searched on.
        minimum: the least of them.
        recipe: how to put a layer into int8.
    """

    damages: tuple[Damage, ...]
    left_out: frozenset[str]
    mean: float
    minimum: float
    recipe: "Recipe"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to put the layers of a graph into int8, whichever they are.

    Attributes:
        before: statistics of the layers' inputs, by the value's name.
        peaks: greatest |x| of the smoothed inputs to represent, by the value's name.
        rounded: int8 weights of the smoothed layers, by name.
    """

    before: Mapping[str, Statistics]
    peaks: Mapping[str, float]
    rounded: Mapping[str, Rounded]

    def smooth(self, model: ir.Model, left_out: frozenset[str] = frozenset()) -> ir.Model:
        """Smooth a simplified graph as the statistics say, what is left out after GELU excepted."""
        norms = sum(_is_norm(value) for value in set(linear_inputs(model.graph)))
        into = {linear.input for linear in linears(model.graph) if linear.name not in left_out}
        gelus = sum(is_gelu(value) for value in into)
        return run(
            model,
            [
                Smooth(statistics=self.before, norms=norms, alpha=ALPHA, steps=STEPS),
                SmoothGelu(
                    statistics=self.before,
                    gelus=gelus,
                    alpha=GELU_ALPHA,
                    steps=STEPS,
                    left_out=left_out,
                ),
            ],
        )

    def quantize(self, model: ir.Model, left_out: frozenset[str]) -> ir.Model:
        """Put all layers of a smoothed graph into int8 but `left_out`."""
        passes = [
            QuantizeStatic(
                linears=len(self.rounded),
                peaks=self.peaks,
                round_weight=lambda linear: self.rounded[linear.name],
                left_out=left_out,
            )
        ]
        return run(model, passes)


def quantized(
    exported: Exported, corpus: Sequence[str], *, product_pooling: bool
) -> tuple[ir.Model, StaticPlan]:
    """The Q/DQ graph of `exported`, and the plan that it follows.

    Raises:
        BuildFailed: no plan reaches the gate; names the layers tried and the best figures.
    """
    found = plan(exported, tuple(corpus))
    model = found.recipe.smooth(
        simplified(exported, product_pooling=product_pooling), found.left_out
    )
    model = found.recipe.quantize(model, found.left_out)
    return run(model, [HalveWordEmbeddings()]), found


@lru_cache(maxsize=1)
def plan(exported: Exported, corpus: tuple[str, ...]) -> StaticPlan:
    """Calibrate, measure each layer's damage and search. Both static targets share the result."""
    inputs = feeds(exported.tokenizer, corpus, exported.max_tokens)
    model = simplified(exported)
    original = sentence_vectors(model, inputs[::_EVERY])
    before = statistics(model, linear_inputs(model.graph), inputs, products=False)
    model = Recipe(before=before, peaks={}, rounded={}).smooth(model)
    smoothed = statistics(model, linear_inputs(model.graph), inputs)
    recipe = Recipe(
        before=before,
        peaks={name: seen.peak for name, seen in smoothed.items()},
        rounded={linear.name: _round(linear, smoothed) for linear in linears(model.graph)},
    )
    return _Search(recipe, model, inputs[::_EVERY], original).run()


class _Search:
    def __init__(
        self,
        recipe: Recipe,
        smoothed: ir.Model,
        inputs: Sequence[Feed],
        original: npt.NDArray[np.float64],
    ) -> None:
        self._recipe = recipe
        self._smoothed = smoothed
        self._inputs = inputs
        self._original = original

    def run(self) -> StaticPlan:
        damages = self._damages()
        most = int(MOST_LEFT_OUT * len(self._recipe.rounded))
        plans = [
            frozenset(name for damage in damages[:count] for name in damage.names)
            for count in range(len(damages) + 1)
        ]
        plans = [left_out for left_out in plans if len(left_out) <= most]
        tried: list[tuple[float, float, frozenset[str]]] = []
        for left_out, cosines in self._cosines_of(plans):
            mean, minimum = float(cosines.mean()), float(cosines.min())
            _log.debug("%d layers left out: mean %.5f, minimum %.5f", len(left_out), mean, minimum)
            tried.append((mean, minimum, left_out))
            if mean >= MEAN and minimum >= MINIMUM:
                return StaticPlan(
                    damages=damages,
                    left_out=left_out,
                    mean=mean,
                    minimum=minimum,
                    recipe=self._recipe,
                )
        mean, minimum, left_out = max(tried)
        raise BuildFailed(
            f"static int8: no plan gives mean cosine {MEAN} and minimum {MINIMUM} with at most "
            f"{most} layers in floating point; best: {mean:.5f} and {minimum:.5f} without "
            f"{', '.join(sorted(left_out)) or 'any'}"
        )

    def _damages(self) -> tuple[Damage, ...]:
        everything = frozenset(self._recipe.rounded)
        groups = list(_groups(self._smoothed))
        alone = [everything - set(names) for names in groups]
        found = []
        for names, (_, cosines) in zip(
            groups, self._cosines_of(alone, every=_EVERY_FOR_DAMAGE), strict=True
        ):
            losses = 1 - cosines
            found.append(
                Damage(names=names, mean_loss=float(losses.mean()), worst_loss=float(losses.max()))
            )
        return tuple(sorted(found, key=lambda damage: (-damage.mean_loss, damage.names)))

    def _cosines_of(
        self, plans: Sequence[frozenset[str]], every: int = 1
    ) -> Iterator[tuple[frozenset[str], npt.NDArray[np.float64]]]:
        """Each plan with its cosines, in order, as many at once as there are cores.

        Each runs on one thread, so the figures do not depend on how many do. Plans that nobody asks
        for any more are not begun.
        """
        workers = min(_MOST_AT_ONCE, available_cores()[0])
        judge = partial(self._cosines, every=every)
        with ThreadPoolExecutor(workers) as pool:
            for start in range(0, len(plans), workers):
                some = plans[start : start + workers]
                yield from zip(some, pool.map(judge, some), strict=True)

    def _cosines(self, left_out: frozenset[str], every: int = 1) -> npt.NDArray[np.float64]:
        model = self._recipe.quantize(_copy(self._smoothed), left_out)
        vectors = sentence_vectors(model, self._inputs[::every])
        original = self._original[::every]
        norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(original, axis=1)
        cosines: npt.NDArray[np.float64] = (vectors * original).sum(axis=1) / norms
        return cosines


def _copy(model: ir.Model) -> ir.Model:
    """A graph of its own that shares the constants."""
    return ir.Model(model.graph.clone(), ir_version=model.ir_version)


def _groups(model: ir.Model) -> Iterable[tuple[str, ...]]:
    """Names of the linear layers, those that read one value together."""
    groups: dict[ir.Value, list[str]] = {}
    for linear in linears(model.graph):
        groups.setdefault(linear.input, []).append(linear.name)
    return (tuple(names) for names in groups.values())


def _round(linear: Linear, smoothed: Mapping[str, Statistics]) -> Rounded:
    return gptq(linear.weight, smoothed[linear.input.name or ""].gram)


def _is_norm(value: ir.Value) -> bool:
    producer = value.producer()
    return producer is not None and producer.op_type == "LayerNormalization"
