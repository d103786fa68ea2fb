"""Evaluate one candidate: take its measurements, then run every gate on them."""

import time
from collections.abc import Mapping

from minilm.verify.candidates.base import Candidate
from minilm.verify.gates import measure_variant, run_variant_gates
from minilm.verify.reference.baseline import Baseline
from minilm.verify.results import VariantReport

__all__ = ["evaluate_candidate"]


def evaluate_candidate(
    candidate: Candidate, baseline: Baseline, thresholds: Mapping[str, float | None]
) -> VariantReport:
    """Evaluate a candidate, and close it.

    Args:
        candidate: The variant or graph under test.
        baseline: The corpus and the original.
        thresholds: Thresholds of the policy for this candidate; None switches a gate off.

    Raises:
        InvalidArtifact: Its graph cannot be opened or understood.
        BackendUnavailable: Its backend is not installed.
    """
    started = time.perf_counter()
    found = measure_variant(candidate, baseline)
    gates, skipped = run_variant_gates(found, thresholds)
    if found.graph_info is not None:
        operators = found.graph_info.operators
    else:
        operators = dict(found.promised.operators if found.promised else {})
    return VariantReport(
        name=candidate.name,
        gates=gates,
        cosines=tuple(found.cosines.tolist()),
        size_bytes=sum(path.stat().st_size for path in candidate.files),
        operators=operators,
        runs_on=candidate.runs_on,
        skipped=skipped,
        seconds=time.perf_counter() - started,
    )
