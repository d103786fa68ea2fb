"""Gates of ranking: neighbours, similarities and labelled pairs in the original's order."""

from typing import Final

import numpy as np
import numpy.typing as npt
from minilm.verify.gates.base import Gate, Measurement, NotMeasured
from minilm.verify.gates.measurements import VariantMeasurements
from minilm.verify.metrics import evenly_spaced, kendall_tau, l2_normalize, ranks, top_k_overlap
from minilm.verify.reference.sts_pairs import label_correlation
from minilm.verify.results import shorten

__all__ = ["KENDALL", "STS_DROP", "TOP10"]

Matrix = npt.NDArray[np.float64]


def _similarities(found: VariantMeasurements) -> tuple[Matrix, Matrix, npt.NDArray[np.intp]]:
    """Similarities by the candidate and by the original, and the indices of their texts.

    Texts whose original vectors are the same count once: they have no order among themselves.
    """
    _, places = np.unique(np.round(found.original, 5), axis=0, return_index=True)
    places = np.sort(places)
    ours, theirs = (
        l2_normalize(np.nan_to_num(vectors[places])) for vectors in (found.vectors, found.original)
    )
    return ours @ ours.T, theirs @ theirs.T, places


def _top10(found: VariantMeasurements) -> Measurement:
    ours, theirs, places = _similarities(found)
    overlap = top_k_overlap(ours, theirs)
    lowest = int(places[int(np.argmin(overlap))])
    worst = found.text_name(lowest) if overlap.min() < 1 else ""
    return Measurement(figure=float(overlap.mean()), worst=worst)


# Ranks of a model whose texts all lie close together (an untrained one: cosine 0.9996, overlap
# 0.81) say less than its cosines: hence the wide thresholds where layers stay in floating point.
TOP10: Final = Gate(
    name="top10",
    comparison=">=",
    meaning="share of each text's ten nearest that stay the ten nearest, on average",
    advice="search results change: raise the precision of the worst layers",
    measure=_top10,
    thresholds={
        "fp32": 0.999,
        "bf16": 0.95,
        "fp16": 0.95,
        "int8": 0.9,
        "openvino/int8": 0.8,
        "cuda/int8": 0.8,
    },
)


def _kendall(found: VariantMeasurements) -> Measurement:
    ours, theirs, places = _similarities(found)
    tau = kendall_tau(ours, theirs)
    lowest = places[evenly_spaced(len(places))[int(np.argmin(tau))]]
    worst = found.text_name(int(lowest)) if tau.min() < 1 else ""
    detail = f"lowest of a text: {tau.min():.4f}"
    return Measurement(figure=float(tau.mean()), worst=worst, detail=detail)


KENDALL: Final = Gate(
    name="kendall",
    comparison=">=",
    meaning="Kendall's tau of the similarities to all other texts, on average",
    advice="rankings change: raise the precision of the worst layers",
    measure=_kendall,
    thresholds={
        "fp32": 0.999,
        "bf16": 0.98,
        "fp16": 0.98,
        "int8": 0.94,
        "cuda/int8": 0.92,
    },
)


def _sts_drop(found: VariantMeasurements) -> Measurement | NotMeasured | None:
    if found.sts is None or found.sts_similarities is None:
        return None
    pairs, original = found.sts.pairs, found.sts.original
    ours = label_correlation(found.sts_similarities, pairs)
    if original is None:
        return NotMeasured(
            "left out, since PyTorch is not installed here; the artifact's Spearman correlation "
            f"is {ours:.5f}"
        )
    theirs = label_correlation(original, pairs)
    detail = f"Spearman correlation {ours:.5f}, the original's {theirs:.5f}"
    moved = np.abs(ranks(found.sts_similarities) - ranks(original))
    pair = pairs[int(np.argmax(moved))]
    worst = f"{shorten(pair.first, 40)} / {shorten(pair.second, 40)}" if moved.any() else ""
    return Measurement(figure=theirs - ours, worst=worst, detail=detail)


STS_DROP: Final = Gate(
    name="sts-drop",
    comparison="<=",
    meaning="Spearman correlation that is lost against the original on the labelled pairs",
    advice="the artifact ranks labelled pairs worse than the original",
    measure=_sts_drop,
    thresholds={"fp32": 0.0001, "bf16": 0.001, "fp16": 0.001, "int8": 0.005, "cuda/int8": 0.01},
)
