"""Say why a build was not kept, and what to do."""

from collections.abc import Sequence
from pathlib import Path

from minilm.verify import GateResult, Report

__all__ = ["describe_failure"]


def describe_failure(report: Report, output: Path) -> str:
    """The message for a report whose gates failed: which, what passed, where, and what to do.

    Args:
        report: Report of a verification that failed.
        output: Directory of the bundle that was not written.
    """
    failed = [variant for variant in report.variants if not variant.passed]
    passed = [variant.name for variant in report.variants if variant.passed]
    of_bundle = [gate for gate in report.gates if not gate.passed]
    what = []
    if of_bundle:
        what.append("for the bundle as a whole")
    if failed or not of_bundle:
        what.append(f"for {len(failed)} of {len(report.variants)} variants")
    sentences = [f"verification failed {' and '.join(what)}; {output} was not written"]
    if of_bundle:
        sentences.append(f"Bundle: {_gates(of_bundle)}")
        sentences += [f"Advice: {gate.advice}" for gate in of_bundle if gate.advice][:1]
    sentences += [
        f"{variant.name}: {_gates([gate for gate in variant.gates if not gate.passed])}"
        for variant in failed
    ]
    if passed and failed:
        others = "The other variant" if len(passed) == 1 else f"The {len(passed)} other variants"
        sentences.append(f"{others} passed")
    sentences.append(f"Processor: {_processor(report)}")
    if passed and failed and not of_bundle:
        sentences.append(f"To keep what passed: --variants {','.join(passed)}")
    return ". ".join(sentence.rstrip(".") for sentence in sentences)


def _gates(gates: Sequence[GateResult]) -> str:
    return "; ".join(map(_gate, gates))


def _gate(gate: GateResult) -> str:
    notes = [f"worst: {gate.worst!r}"] if gate.worst else []
    notes += [gate.detail] if gate.detail else []
    figure = f"{gate.name} is {gate.figure:.6g}, must be {gate.comparison} {gate.threshold:g}"
    return f"{figure} ({'; '.join(notes)})" if notes else figure


def _processor(report: Report) -> str:
    name = report.environment.get("processor") or "unknown"
    instruction_sets = report.environment.get("instruction sets")
    return f"{name} ({instruction_sets})" if instruction_sets else name
