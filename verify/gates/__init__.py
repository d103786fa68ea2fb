"""The gates: what an artifact has to meet. A new gate is one object in a file and one line here."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from minilm.verify.gates.base import Gate, Measurement, NotMeasured, evaluate
from minilm.verify.gates.bundle import (
    FACTS,
    GOLDEN,
    INTEGRITY,
    REFERENCE,
    TOKENIZER,
    BundleMeasurements,
    Fact,
    Identity,
    bundle_facts,
)
from minilm.verify.gates.checker import CHECKER
from minilm.verify.gates.graph import INTERFACE, OPERATORS, PRECISION
from minilm.verify.gates.invariance import (
    BATCH_INVARIANCE,
    FINITE,
    LIMIT,
    OUTPUTS,
    PADDING_INVARIANCE,
    REPEAT,
    THREADS,
    UNIT_LENGTH,
)
from minilm.verify.gates.measurements import VariantMeasurements, measure_variant
from minilm.verify.gates.parity import COSINE_MEAN, COSINE_MIN, COSINE_P01, PADDED_MIN
from minilm.verify.gates.ranking import KENDALL, STS_DROP, TOP10
from minilm.verify.results import GateResult, Skipped

__all__ = [
    "BUNDLE_GATES",
    "GATES",
    "IDENTITY_GATES",
    "VARIANT_GATES",
    "BundleMeasurements",
    "Fact",
    "Gate",
    "Identity",
    "Measurement",
    "NotMeasured",
    "VariantMeasurements",
    "bundle_facts",
    "evaluate",
    "measure_variant",
    "run_bundle_gates",
    "run_identity_gates",
    "run_variant_gates",
]

M = TypeVar("M")
Outcome = tuple[tuple[GateResult, ...], tuple[Skipped, ...]]

IDENTITY_GATES: Final[tuple[Gate[Identity], ...]] = (INTEGRITY, REFERENCE)
BUNDLE_GATES: Final[tuple[Gate[BundleMeasurements], ...]] = (FACTS, GOLDEN, TOKENIZER)
VARIANT_GATES: Final[tuple[Gate[VariantMeasurements], ...]] = (
    FINITE,
    UNIT_LENGTH,
    COSINE_MEAN,
    COSINE_P01,
    COSINE_MIN,
    PADDED_MIN,
    BATCH_INVARIANCE,
    PADDING_INVARIANCE,
    OUTPUTS,
    LIMIT,
    REPEAT,
    THREADS,
    TOP10,
    KENDALL,
    STS_DROP,
    INTERFACE,
    OPERATORS,
    PRECISION,
    CHECKER,
)

_ALL: Final[tuple[Gate[Any], ...]] = (*IDENTITY_GATES, *BUNDLE_GATES, *VARIANT_GATES)

GATES: Final[Mapping[str, Gate[Any]]] = {gate.name: gate for gate in _ALL}
"""Every gate by name, in the order of the report."""


def run_identity_gates(identity: Identity) -> Outcome:
    """Evaluate the gates that need no text: nothing else is evaluated if one of them fails."""
    return _run(IDENTITY_GATES, identity, {})


def run_bundle_gates(measurements: BundleMeasurements) -> Outcome:
    """Evaluate the gates of an artifact as a whole.

    Raises:
        InvalidArtifact: The golden vectors cannot be read.
    """
    return _run(BUNDLE_GATES, measurements, {})


def run_variant_gates(
    measurements: VariantMeasurements, thresholds: Mapping[str, float | None]
) -> Outcome:
    """Evaluate the gates of one variant, in the order of the report.

    Args:
        measurements: The variant's.
        thresholds: Thresholds of the policy; None switches a gate off.
    """
    return _run(VARIANT_GATES, measurements, thresholds)


def _run(
    gates: Iterable[Gate[M]], measurements: M, thresholds: Mapping[str, float | None]
) -> Outcome:
    found = [evaluate(gate, measurements, thresholds) for gate in gates]
    return (
        tuple(outcome for outcome in found if isinstance(outcome, GateResult)),
        tuple(outcome for outcome in found if isinstance(outcome, Skipped)),
    )
