"""A gate: one figure, the threshold that it has to meet, its meaning and the advice."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, TypeVar

from minilm.verify.results import SWITCHED_OFF, GateResult, Skipped

__all__ = ["Comparison", "Gate", "Measurement", "NotMeasured", "evaluate", "result_of"]

Comparison = Literal[">=", "<=", "=="]

M = TypeVar("M")

_HOLDS: Final[Mapping[Comparison, Callable[[float, float], bool]]] = {
    ">=": lambda figure, threshold: figure >= threshold,
    "<=": lambda figure, threshold: figure <= threshold,
    "==": lambda figure, threshold: figure == threshold,
}


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A gate's figure, its worst example, and further information for the reader.

    Attributes:
        figure: Measured value.
        worst: Worst example, a shortened text or a name; empty if there is none.
        detail: Further information; may be empty.
        required: Threshold of a gate whose threshold depends on the artifact; else None.
    """

    figure: float
    worst: str = ""
    detail: str = ""
    required: float | None = None


@dataclass(frozen=True)
class NotMeasured:
    """The reason why a gate cannot be measured here, as a phrase without a full stop."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Gate(Generic[M]):
    """A gate over measurements of type `M`.

    Attributes:
        name: Name in reports and policies ("cosine-min").
        comparison: Operator between figure and threshold.
        meaning: Description of the figure, one sentence without a full stop.
        advice: Remedy for a failure, one line without a full stop.
        measure: Function from measurements to the figure; None where the gate does not apply.
        thresholds: Built-in thresholds by "*", precision or variant, the narrower winning; a policy
            may change them. Empty for a gate with a fixed threshold.
        required: Threshold of a gate without `thresholds`, unless its measurement states one.
    """

    name: str
    comparison: Comparison
    meaning: str
    advice: str
    measure: Callable[[M], Measurement | NotMeasured | None]
    thresholds: Mapping[str, float] = field(default_factory=dict)
    required: float = 0

    @property
    def adjustable(self) -> bool:
        """Whether a policy may set the threshold."""
        return bool(self.thresholds)


def evaluate(
    gate: Gate[M], measurements: M, thresholds: Mapping[str, float | None]
) -> GateResult | Skipped | None:
    """Measure a gate and compare the figure with its threshold; NaN never passes.

    Args:
        gate: The gate.
        measurements: Input of its `measure`.
        thresholds: Thresholds of the policy by gate; None, or no entry, switches a gate off that a
            policy may set.

    Returns:
        The result, the reason for skipping the gate, or None where the gate does not apply.
    """
    measured = gate.measure(measurements)
    if measured is None:
        return None
    threshold = thresholds.get(gate.name) if gate.adjustable else gate.required
    if threshold is None:
        return Skipped(gate=gate.name, reason=SWITCHED_OFF)
    if isinstance(measured, NotMeasured):
        return Skipped(gate=gate.name, reason=measured.reason)
    if measured.required is not None:
        threshold = measured.required
    return result_of(gate, measured, threshold)


def result_of(gate: Gate[Any], measured: Measurement, threshold: float) -> GateResult:
    """Compare a figure with a threshold; NaN never passes."""
    return GateResult(
        name=gate.name,
        passed=bool(_HOLDS[gate.comparison](measured.figure, threshold)),
        figure=float(measured.figure),
        threshold=float(threshold),
        comparison=gate.comparison,
        meaning=gate.meaning,
        worst=measured.worst,
        detail=measured.detail,
        advice=gate.advice,
    )
