"""All gates of one subject: what it gives, what it scores, what its graph holds."""

import time
from collections.abc import Mapping

from minilm.runtime.manifest import TensorInfo, Variant
from minilm.verify import inspection, sts
from minilm.verify.bench import Bench
from minilm.verify.gates import Measured, judge, judge_trial
from minilm.verify.report import GateResult, VariantReport
from minilm.verify.subject import Subject
from minilm.verify.trial import Trial

__all__ = ["judge_subject"]

Results = list[GateResult | str]


def judge_subject(
    subject: Subject,
    bench: Bench,
    thresholds: Mapping[str, float | None],
    labelled: sts.Labelled | None = None,
) -> VariantReport:
    """Judge a subject, and close it.

    Args:
        subject: what is judged.
        bench: the corpus and the original.
        thresholds: of the policy for this subject; None switches a gate off.
        labelled: pairs for the gate "sts-drop"; None leaves it out.

    Raises:
        InvalidArtifact: its graph cannot be opened or understood.
        BackendUnavailable: its backend is not installed.
    """
    started = time.perf_counter()
    try:
        trial = Trial(subject, bench.samples, bench.vectors, bench.tokens)
        results: Results = list(judge_trial(trial, thresholds))
        if labelled:
            results.append(sts.judge_drop(subject, labelled, thresholds.get("sts-drop")))
        values = tuple(trial.cosines.tolist())
    finally:
        subject.close()
    found, operators = _judge_graph(subject, thresholds)
    results += found
    return VariantReport(
        name=subject.name,
        gates=tuple(result for result in results if isinstance(result, GateResult)),
        cosines=values,
        size_bytes=sum(path.stat().st_size for path in subject.files),
        operators=operators,
        runs_on=subject.runs_on,
        notes=tuple(result for result in results if isinstance(result, str)),
        seconds=time.perf_counter() - started,
    )


def _judge_graph(
    subject: Subject, thresholds: Mapping[str, float | None]
) -> tuple[Results, dict[str, int]]:
    """Whether the graph's file holds the operators and the precision that are promised."""
    path, promised = subject.files[0], subject.promised
    if not inspection.can_inspect(path):
        note = (
            "gates interface, operators and precision: left out, since the library that reads "
            f'{path.name} is not installed: pip install "minilm-toolkit[build]"'
        )
        return [note], dict(promised.operators if promised else {})
    graph = inspection.inspect(path)
    results: Results = []
    if promised is None:
        results.append("gates interface and operators: left out, since there is no manifest")
    else:
        results.append(_judge_interface(graph, promised))
        results.append(_judge_operators(graph.operators, promised.operators))
    threshold = thresholds.get("precision")
    if threshold is None:
        results.append("gate precision: switched off by the policy")
    else:
        precision = subject.kind.rpartition("/")[2]
        share = graph.products.share(precision)
        worst = graph.products.first_float if precision == "int8" and share < 1 else ""
        measured = Measured(figure=share, worst=worst, detail=graph.products.sentence())
        results.append(judge("precision", measured, threshold))
    return results, graph.operators


def _judge_interface(graph: inspection.Inspection, promised: Variant) -> GateResult:
    found = {"opset": str(graph.opset)}
    wanted = {"opset": str(promised.opset)}
    for side, ports, tensors in (
        ("input", graph.inputs, promised.inputs),
        ("output", graph.outputs, promised.outputs),
    ):
        found |= {f"{side} {port.name}": _port(port) for port in ports}
        wanted |= {f"{side} {tensor.name}": _port(tensor) for tensor in tensors}
    differ = [k for k in {**found, **wanted} if found.get(k) != wanted.get(k)]
    detail = "; ".join(
        f"{k}: {found.get(k, 'none')}, manifest {wanted.get(k, 'none')}" for k in differ
    )
    worst = differ[0] if differ else ""
    return judge("interface", Measured(figure=len(differ), worst=worst, detail=detail), 0)


def _port(tensor: TensorInfo) -> str:
    """Type and shape; how a dynamic axis is called does not matter."""
    axes = ", ".join(str(axis) if isinstance(axis, int) else "any" for axis in tensor.shape)
    return f"{tensor.dtype} ({axes})"


def _judge_operators(found: Mapping[str, int], promised: Mapping[str, int]) -> GateResult:
    differ = [k for k in sorted({*found, *promised}) if found.get(k, 0) != promised.get(k, 0)]
    detail = ", ".join(f"{k}: {found.get(k, 0)}, manifest {promised.get(k, 0)}" for k in differ[:5])
    worst = differ[0] if differ else ""
    return judge("operators", Measured(figure=len(differ), worst=worst, detail=detail), 0)
