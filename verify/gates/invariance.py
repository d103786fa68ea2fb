"""Gates of one variant against itself: finite, unit length, and the same however it is run."""

from typing import Final

import numpy as np
from minilm.verify.gates.base import Gate, Measurement, NotMeasured
from minilm.verify.gates.measurements import VariantMeasurements, lowest
from minilm.verify.metrics import l2_normalize, rowwise_cosine

__all__ = [
    "BATCH_INVARIANCE",
    "FINITE",
    "LIMIT",
    "OUTPUTS",
    "PADDING_INVARIANCE",
    "REPEAT",
    "THREADS",
    "UNIT_LENGTH",
]


def _finite(found: VariantMeasurements) -> Measurement:
    broken = ~np.isfinite(found.vectors)
    in_graph = ~np.isfinite(found.graph.padded)
    figure = int(broken.sum() + in_graph.sum())
    if not figure:
        return Measurement(figure=0)
    if broken.any():
        place = int(np.argmax(broken.sum(axis=1)))
    else:
        place = found.graph.places[int(np.argmax(in_graph.sum(axis=1)))]
    return Measurement(figure=figure, worst=found.text_name(place))


FINITE: Final = Gate(
    name="finite",
    comparison="==",
    meaning="elements that are NaN or infinite",
    advice="look for overflow in half precision, and for masks of minus infinity",
    measure=_finite,
)


def _unit_length(found: VariantMeasurements) -> Measurement | NotMeasured:
    if not found.normalized:
        lengths = np.linalg.norm(found.graph.padded.astype(np.float64), axis=1)
        return NotMeasured(
            "left out, since the model has no module that normalizes; the graph's vectors are "
            f"{lengths.min():.4g} to {lengths.max():.4g} long"
        )
    off = np.abs(np.linalg.norm(found.vectors.astype(np.float64), axis=1) - 1)
    graph = np.abs(np.linalg.norm(found.graph.padded.astype(np.float64), axis=1) - 1)
    if graph.max() > off.max():
        place, figure = found.graph.places[int(np.argmax(graph))], graph.max()
        detail = "in the graph's own output"
    else:
        place, figure, detail = int(np.argmax(off)), off.max(), ""
    return Measurement(figure=float(figure), worst=found.text_name(place), detail=detail)


UNIT_LENGTH: Final = Gate(
    name="unit-length",
    comparison="<=",
    meaning="largest distance of a vector's length from 1",
    advice="the L2 norm is missing from the graph, or computed in low precision",
    measure=_unit_length,
    thresholds={"*": 1e-3, "fp32": 1e-5},
)


def _batch_invariance(found: VariantMeasurements) -> Measurement:
    graph, probes = found.graph, list(found.probes)
    shorter = graph.places[-len(graph.mixed) :]
    ways = {
        "within the whole corpus": (found.alone, found.vectors[probes], probes),
        "in a padded batch of the graph": (graph.bare[-len(shorter) :], graph.mixed, shorter),
    }
    cosines = {way: rowwise_cosine(alone, among) for way, (alone, among, _) in ways.items()}
    way = min(cosines, key=lambda key: float(cosines[key].min()))
    alone, among, places = ways[way]
    worst = lowest(found, cosines[way], places)
    detail = f"alone against {way}; an element moves by at most {np.abs(alone - among).max():.1e}"
    return Measurement(figure=worst.figure, worst=worst.worst, detail=detail)


BATCH_INVARIANCE: Final = Gate(
    name="batch-invariance",
    comparison=">=",
    meaning="lowest cosine of a text embedded alone to the same text among others",
    advice="a scale is taken over the whole batch: quantize activations per token",
    measure=_batch_invariance,
    thresholds={
        "fp32": 0.999999,
        "bf16": 0.9999,
        "fp16": 0.9999,
        "int8": 0.999,
        "native/int8": 0.9999999,
        "cpu/int8": 0.9999,
    },
)


def _padding_invariance(found: VariantMeasurements) -> Measurement:
    graph = found.graph
    return lowest(found, rowwise_cosine(graph.bare, graph.padded), graph.places)


PADDING_INVARIANCE: Final = Gate(
    name="padding-invariance",
    comparison=">=",
    meaning="lowest cosine of the graph's vector without padding to that padded to the limit",
    advice="padding changes the result: check the mask in attention and pooling",
    measure=_padding_invariance,
    thresholds={
        "fp32": 0.999999,
        "bf16": 0.9999,
        "fp16": 0.9999,
        "int8": 0.999,
        "native/int8": 0.9999999,
        "cpu/int8": 0.9999,
    },
)


def _outputs(found: VariantMeasurements) -> Measurement | NotMeasured:
    graph = found.graph
    if graph.pooled is None:
        return NotMeasured("left out, since the graph has one output only")
    return lowest(found, rowwise_cosine(graph.padded, l2_normalize(graph.pooled)), graph.places)


OUTPUTS: Final = Gate(
    name="outputs",
    comparison=">=",
    meaning="lowest cosine of sentence_embedding to last_hidden_state pooled as configured",
    advice="the two outputs disagree: pooling in the graph is not what 1_Pooling says",
    measure=_outputs,
    thresholds={"*": 0.9999, "fp32": 0.999999},
)


def _limit(found: VariantMeasurements) -> Measurement | NotMeasured:
    if found.tokens_read is None:
        return NotMeasured("left out, since the vocabulary has no two words of one token")
    return Measurement(figure=found.tokens_read, required=found.tokens.limit)


LIMIT: Final = Gate(
    name="limit",
    comparison="==",
    meaning="tokens that the loader reads of a long text, against the model's limit",
    advice="truncation is not at max_seq_length of sentence_bert_config.json",
    measure=_limit,
)


def _repeat(found: VariantMeasurements) -> Measurement:
    graph = found.graph
    before = np.concatenate([found.alone[1:], graph.mixed])
    after = np.concatenate([found.again, graph.mixed_again])
    places = [*found.probes[1:], *graph.places[-len(graph.mixed) :]]
    moved = np.nan_to_num(np.abs(after - before).max(axis=1), nan=np.inf)
    row = int(np.argmax(moved))
    worst = found.text_name(places[row]) if moved[row] else ""
    return Measurement(figure=float(moved[row]), worst=worst)


REPEAT: Final = Gate(
    name="repeat",
    comparison="<=",
    meaning="largest change of an element when the same texts are embedded again",
    advice="something is left over from the call before, or memory is read uninitialized",
    measure=_repeat,
    thresholds={"*": 1e-6, "native/int8": 0.0},
)


def _threads(found: VariantMeasurements) -> Measurement:
    places = found.graph.places
    loader = found.alone[[found.probes.index(place) for place in places]]
    worst = lowest(found, rowwise_cosine(found.graph.bare, loader), places)
    ours, other = found.thread_counts
    return Measurement(figure=worst.figure, worst=worst.worst, detail=f"{ours} against {other}")


THREADS: Final = Gate(
    name="threads",
    comparison=">=",
    meaning="lowest cosine of a text embedded by one thread to the graph's, by several",
    advice="kernels sum by thread further apart than their precision, or the loader feeds the "
    "graph otherwise",
    measure=_threads,
    thresholds={
        "fp32": 0.999999,
        "bf16": 0.9999,
        "fp16": 0.9999,
        "int8": 0.9999,
        "native/int8": 0.9999999,
    },
)
