"""The gates of one variant: each turns measurements into a figure and names the worst offender."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from minilm.verify.catalogue import GATES
from minilm.verify.ranking import cosines, kendall, spread, top_overlap, unit
from minilm.verify.report import GateResult, shorten
from minilm.verify.trial import Trial

__all__ = ["Measured", "judge", "judge_trial"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A gate's figure, its worst offender, and what else a reader should know."""

    figure: float
    worst: str = ""
    detail: str = ""


def judge(name: str, measured: Measured, threshold: float) -> GateResult:
    """Hold a figure against a threshold; NaN never passes."""
    spec = GATES[name]
    passed = {
        ">=": measured.figure >= threshold,
        "<=": measured.figure <= threshold,
        "==": measured.figure == threshold,
    }[spec.comparison]
    return GateResult(
        name=name,
        passed=bool(passed),
        figure=float(measured.figure),
        threshold=float(threshold),
        comparison=spec.comparison,
        meaning=spec.meaning,
        worst=measured.worst,
        detail=measured.detail,
        advice=spec.advice,
    )


def judge_trial(trial: Trial, thresholds: Mapping[str, float | None]) -> Iterator[GateResult | str]:
    """Every gate of one variant, in the order of the report.

    Args:
        trial: the variant.
        thresholds: of the policy; None switches a gate off.

    Yields:
        The result of a gate, or a note that says why a gate was left out.
    """
    for name, (measure, fixed) in _MEASURES.items():
        threshold = fixed(trial) if fixed else thresholds.get(name)
        if threshold is None:
            yield f"gate {name}: switched off by the policy"
            continue
        measured = measure(trial)
        if isinstance(measured, Measured):
            yield judge(name, measured, threshold)
        else:
            yield f"gate {name}: {measured}"


def _lowest(trial: Trial, values: Array, places: Sequence[int] | None = None) -> Measured:
    """The lowest of `values`, with the text that it belongs to."""
    row = int(np.argmin(values))
    return Measured(figure=float(values[row]), worst=_name(trial, places[row] if places else row))


def _name(trial: Trial, place: int) -> str:
    sample = trial.samples[place]
    tokens = trial.tokens.lengths[place]
    return f"{shorten(sample.text)} [{sample.category}, {tokens} tokens]"


def _finite(trial: Trial) -> Measured:
    broken = ~np.isfinite(trial.vectors)
    graphs = ~np.isfinite(trial.graph_runs.padded)
    figure = int(broken.sum() + graphs.sum())
    if not figure:
        return Measured(figure=0)
    if broken.any():
        place = int(np.argmax(broken.sum(axis=1)))
    else:
        place = trial.graph_probes[int(np.argmax(graphs.sum(axis=1)))]
    return Measured(figure=figure, worst=_name(trial, place))


def _unit_length(trial: Trial) -> Measured | str:
    if not trial.subject.normalized:
        return "left out, since the model's vectors have no unit length"
    off = np.abs(np.linalg.norm(trial.vectors.astype(np.float64), axis=1) - 1)
    graph = np.abs(np.linalg.norm(trial.graph_runs.padded.astype(np.float64), axis=1) - 1)
    if graph.max() > off.max():
        place, figure = trial.graph_probes[int(np.argmax(graph))], graph.max()
        detail = "in the graph's own output"
    else:
        place, figure, detail = int(np.argmax(off)), off.max(), ""
    return Measured(figure=float(figure), worst=_name(trial, place), detail=detail)


def _cosine_mean(trial: Trial) -> Measured:
    lowest = _lowest(trial, trial.cosines)
    return Measured(figure=float(trial.cosines.mean()), worst=lowest.worst)


def _cosine_p01(trial: Trial) -> Measured:
    lowest = _lowest(trial, trial.cosines)
    return Measured(figure=float(np.percentile(trial.cosines, 1)), worst=lowest.worst)


def _cosine_min(trial: Trial) -> Measured:
    return _lowest(trial, trial.cosines)


def _padded_min(trial: Trial) -> Measured:
    found = cosines(trial.graph_runs.padded, trial.reference[trial.graph_probes])
    return _lowest(trial, found, trial.graph_probes)


def _batch_invariance(trial: Trial) -> Measured:
    runs, probes = trial.graph_runs, trial.probes
    shorter = runs.places[-len(runs.mixed) :]
    ways = {
        "within the whole corpus": (trial.alone, trial.vectors[probes], probes),
        "in a padded batch of the graph": (runs.bare[-len(shorter) :], runs.mixed, shorter),
    }
    found = {way: cosines(alone, among) for way, (alone, among, _) in ways.items()}
    way = min(found, key=lambda key: float(found[key].min()))
    alone, among, places = ways[way]
    lowest = _lowest(trial, found[way], places)
    detail = f"alone against {way}; an element moves by at most {np.abs(alone - among).max():.1e}"
    return Measured(figure=lowest.figure, worst=lowest.worst, detail=detail)


def _padding_invariance(trial: Trial) -> Measured:
    runs = trial.graph_runs
    return _lowest(trial, cosines(runs.bare, runs.padded), trial.graph_probes)


def _outputs(trial: Trial) -> Measured | str:
    runs = trial.graph_runs
    if runs.pooled is None:
        return "left out, since the graph has one output only"
    return _lowest(trial, cosines(runs.padded, unit(runs.pooled)), trial.graph_probes)


def _limit(trial: Trial) -> Measured | str:
    read = trial.tokens_read
    if read is None:
        return "left out, since the vocabulary has no two words of one token"
    return Measured(figure=read)


def _repeat(trial: Trial) -> Measured:
    runs = trial.graph_runs
    before = np.concatenate([trial.alone[1:], runs.mixed])
    after = np.concatenate([trial.again, runs.mixed_again])
    places = [*trial.probes[1:], *runs.places[-len(runs.mixed) :]]
    moved = np.nan_to_num(np.abs(after - before).max(axis=1), nan=np.inf)
    row = int(np.argmax(moved))
    worst = _name(trial, places[row]) if moved[row] else ""
    return Measured(figure=float(moved[row]), worst=worst)


def _threads(trial: Trial) -> Measured:
    places = trial.graph_probes
    loader = trial.alone[[trial.probes.index(place) for place in places]]
    lowest = _lowest(trial, cosines(trial.graph_runs.bare, loader), places)
    ours, other = trial.subject.thread_counts
    return Measured(figure=lowest.figure, worst=lowest.worst, detail=f"{ours} against {other}")


def _distinct(trial: Trial) -> npt.NDArray[np.intp]:
    """Places of texts whose original vectors differ: twins have no order among themselves."""
    _, places = np.unique(np.round(trial.reference, 5), axis=0, return_index=True)
    return np.sort(places)


def _similarities(trial: Trial) -> tuple[Array, Array, npt.NDArray[np.intp]]:
    places = _distinct(trial)
    ours, theirs = (
        unit(np.nan_to_num(vectors[places])) for vectors in (trial.vectors, trial.reference)
    )
    return ours @ ours.T, theirs @ theirs.T, places


def _top10(trial: Trial) -> Measured:
    ours, theirs, places = _similarities(trial)
    found = top_overlap(ours, theirs)
    worst = _name(trial, int(places[int(np.argmin(found))])) if found.min() < 1 else ""
    return Measured(figure=float(found.mean()), worst=worst)


def _kendall(trial: Trial) -> Measured:
    ours, theirs, places = _similarities(trial)
    found = kendall(ours, theirs)
    lowest = places[spread(len(places))[int(np.argmin(found))]]
    worst = _name(trial, int(lowest)) if found.min() < 1 else ""
    detail = f"lowest of a text: {found.min():.4f}"
    return Measured(figure=float(found.mean()), worst=worst, detail=detail)


def _no_fault(_: Trial) -> float:
    return 0


def _model_limit(trial: Trial) -> float:
    return trial.tokens.limit


_Measure = Callable[[Trial], Measured | str]
_Fixed = Callable[[Trial], float]

_MEASURES: Final[Mapping[str, tuple[_Measure, _Fixed | None]]] = {
    "finite": (_finite, _no_fault),
    "unit-length": (_unit_length, None),
    "cosine-mean": (_cosine_mean, None),
    "cosine-p01": (_cosine_p01, None),
    "cosine-min": (_cosine_min, None),
    "padded-min": (_padded_min, None),
    "batch-invariance": (_batch_invariance, None),
    "padding-invariance": (_padding_invariance, None),
    "outputs": (_outputs, None),
    "limit": (_limit, _model_limit),
    "repeat": (_repeat, None),
    "threads": (_threads, None),
    "top10": (_top10, None),
    "kendall": (_kendall, None),
}
