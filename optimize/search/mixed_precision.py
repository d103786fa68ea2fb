"""Static int8: one scale for a layer's whole input, and a search for the layers it suits.

A static scale has to hold the largest element of any token. Norms and GELU give a few channels
that are a hundred times the rest, so their outputs are rotated first, which spreads such elements
over their block. All layers in int8 pass with most models. Where they do not, the damage of each
is measured with that layer alone in int8, and as few as possible stay in floating point, the most
damaging first.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from minilm.optimize.calibration.float64 import Feed
from minilm.optimize.calibration.gptq import QuantizedWeight, gptq
from minilm.optimize.calibration.hadamard import rotate_gram
from minilm.optimize.calibration.statistics import sentence_vectors, workers
from minilm.optimize.calibrator import Calibrator
from minilm.optimize.ir_utils import Linear, linears
from minilm.optimize.passes.base import run
from minilm.optimize.passes.qdq import InsertQdq
from minilm.optimize.passes.rotation import RotateInputs, is_rotated
from minilm.optimize.passes.source_graph import simplified
from minilm.runtime.errors import BuildFailed

__all__ = [
    "LayerSensitivity",
    "MixedPrecisionPlan",
    "QuantizationRecipe",
    "measure_sensitivity",
    "search_mixed_precision",
]

MEAN: Final = 0.999
"""Mean cosine to the fp32 graph that the search asks for over the calibration texts."""
MINIMUM: Final = 0.993
"""The least cosine that it asks for, over the gate's: held-out texts fall lower."""
MOST_FLOAT: Final = 0.5
"""Share of the layers that may stay in floating point; with more the variant is not int8."""
_EVERY: Final = 3
"""The search runs on every third calibration text: each kind of text is in each third."""
_EVERY_FOR_DAMAGE: Final = 4
"""Every fourth of these is enough to tell the layers' damages apart."""

_log = logging.getLogger(__name__)

Cosines = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class LayerSensitivity:
    """The cost of int8 in one layer alone.

    Attributes:
        names: Names of the linear layers that read one input (Q, K and V together, or one layer).
        mean_loss: 1 - mean cosine to the fp32 graph.
        worst_loss: 1 - least cosine.
    """

    names: tuple[str, ...]
    mean_loss: float
    worst_loss: float


@dataclass(frozen=True, kw_only=True)
class QuantizationRecipe:
    """Codes and ranges of all layers, whichever of them are put into int8.

    Attributes:
        rotated: Names of the layers whose input is rotated.
        peaks: Greatest |x| to represent, by the layer's name.
        weights: int8 weights, by the layer's name.
        inputs: The value that each layer reads, by the layer's name.
    """

    rotated: frozenset[str]
    peaks: Mapping[str, float]
    weights: Mapping[str, QuantizedWeight]
    inputs: Mapping[str, str]

    @classmethod
    def of(cls, calibration: Calibrator) -> "QuantizationRecipe":
        """Choose ranges and round the weights, which keeps pairs within 16 bits (see `gptq`)."""
        seen = calibration.statistics
        found = list(linears(simplified(calibration.exported).graph))
        rotated = frozenset(linear.name for linear in found if is_rotated(linear))
        inputs = {linear.name: linear.input.name or "" for linear in found}
        values = {inputs[name] for name in rotated}
        everything = run(simplified(calibration.exported), [RotateInputs(inputs=len(values))])

        def round_weight(linear: Linear) -> QuantizedWeight:
            gram = seen[linear.name].gram
            gram = rotate_gram(gram) if linear.name in rotated else gram
            return gptq(linear.weight, gram, pairs=True)

        return cls(
            rotated=rotated,
            peaks={
                name: each.rotated_peak if name in rotated else each.peak
                for name, each in seen.items()
            },
            weights={linear.name: round_weight(linear) for linear in linears(everything.graph)},
            inputs=inputs,
        )

    def apply(self, model: ir.Model, float_layers: frozenset[str]) -> ir.Model:
        """Put all layers of a simplified graph into int8 but `float_layers`."""
        rotated = {self.inputs[name] for name in self.rotated - float_layers}
        return run(
            model,
            [
                RotateInputs(inputs=len(rotated), float_layers=float_layers),
                InsertQdq(
                    linears=len(self.weights),
                    peaks=self.peaks,
                    round_weight=lambda linear: self.weights[linear.name],
                    float_layers=float_layers,
                ),
            ],
        )

    def groups(self) -> list[tuple[str, ...]]:
        """Names of the linear layers, those that read one value together."""
        groups: dict[str, list[str]] = {}
        for name, value in self.inputs.items():
            groups.setdefault(value, []).append(name)
        return [tuple(names) for names in groups.values()]


@dataclass(frozen=True, kw_only=True)
class MixedPrecisionPlan:
    """The precision of each layer of a static int8 graph.

    Attributes:
        float_layers: Names of the layers that stay in floating point.
        mean: Mean cosine to the fp32 graph over the texts that were searched on.
        minimum: The least of these cosines.
        recipe: Codes and ranges of the layers.
    """

    float_layers: frozenset[str]
    mean: float
    minimum: float
    recipe: QuantizationRecipe


def search_mixed_precision(calibration: Calibrator) -> MixedPrecisionPlan:
    """Find the plan with the fewest layers in floating point that is close enough.

    Raises:
        BuildFailed: No plan is; names the layers tried and the best figures.
    """
    simulator = _Simulator(calibration)
    recipe = simulator.recipe
    most = int(MOST_FLOAT * len(recipe.weights))
    tried: list[tuple[float, float, frozenset[str]]] = []
    for float_layers in _plans(simulator, most):
        cosines = simulator.cosines(float_layers)
        mean, minimum = float(cosines.mean()), float(cosines.min())
        _log.debug("%d float layers: mean %.5f, minimum %.5f", len(float_layers), mean, minimum)
        tried.append((mean, minimum, float_layers))
        if mean >= MEAN and minimum >= MINIMUM:
            return MixedPrecisionPlan(
                float_layers=float_layers, mean=mean, minimum=minimum, recipe=recipe
            )
    mean, minimum, float_layers = max(tried, key=lambda found: found[:2])
    raise BuildFailed(
        f"static int8: no plan gives mean cosine {MEAN} and minimum {MINIMUM} with at most "
        f"{most} layers in floating point; best: {mean:.5f} and {minimum:.5f} with "
        f"{', '.join(sorted(float_layers)) or 'none'} in floating point"
    )


def measure_sensitivity(calibration: Calibrator) -> tuple[LayerSensitivity, ...]:
    """Measure the damage of each layer, the most damaging first."""
    return _sensitivities(_Simulator(calibration))


class _Simulator:
    """Cosines of quantized graphs to the fp32 graph, in float64."""

    def __init__(self, calibration: Calibrator) -> None:
        self.recipe = QuantizationRecipe.of(calibration)
        self._model = simplified(calibration.exported)
        self._feeds: Sequence[Feed] = calibration.feeds[::_EVERY]
        self._original = sentence_vectors(self._model, self._feeds)

    def cosines(self, float_layers: frozenset[str], every: int = 1) -> Cosines:
        copy = ir.Model(self._model.graph.clone(), ir_version=self._model.ir_version)
        vectors = sentence_vectors(self.recipe.apply(copy, float_layers), self._feeds[::every])
        original = self._original[::every]
        norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(original, axis=1)
        cosines: Cosines = (vectors * original).sum(axis=1) / norms
        return cosines


def _plans(simulator: _Simulator, most: int) -> Iterable[frozenset[str]]:
    """All layers in int8, then one group less each time; measured only if the first fails."""
    yield frozenset()
    names: list[str] = []
    for sensitivity in _sensitivities(simulator):
        names += sensitivity.names
        if len(names) > most:
            return
        yield frozenset(names)


def _sensitivities(simulator: _Simulator) -> tuple[LayerSensitivity, ...]:
    groups = simulator.recipe.groups()
    everything = frozenset(simulator.recipe.weights)
    alone = [everything - set(names) for names in groups]
    measure = partial(simulator.cosines, every=_EVERY_FOR_DAMAGE)
    with ThreadPoolExecutor(workers()) as pool:
        losses = [1 - cosines for cosines in pool.map(measure, alone)]
    found = [
        LayerSensitivity(names=names, mean_loss=float(loss.mean()), worst_loss=float(loss.max()))
        for names, loss in zip(groups, losses, strict=True)
    ]
    return tuple(sorted(found, key=lambda each: (-each.mean_loss, each.names)))
