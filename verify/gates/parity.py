"""Gates of parity: how close the vectors are to the original's."""

from typing import Final

import numpy as np
from minilm.verify.gates.base import Gate, Measurement
from minilm.verify.gates.measurements import VariantMeasurements, lowest
from minilm.verify.metrics import rowwise_cosine

__all__ = ["COSINE_MEAN", "COSINE_MIN", "COSINE_P01", "PADDED_MIN"]


def _cosine_mean(found: VariantMeasurements) -> Measurement:
    worst = lowest(found, found.cosines).worst
    return Measurement(figure=float(found.cosines.mean()), worst=worst)


COSINE_MEAN: Final = Gate(
    name="cosine-mean",
    comparison=">=",
    meaning="mean cosine to the original",
    advice="a fault of every text: weights, pooling, token types, or too coarse a precision",
    measure=_cosine_mean,
    thresholds={
        "fp32": 0.999999,
        "bf16": 0.9999,
        "fp16": 0.9999,
        "int8": 0.998,
        "native/int8": 0.9995,
        "cuda/int8": 0.99,
    },
)


def _cosine_p01(found: VariantMeasurements) -> Measurement:
    worst = lowest(found, found.cosines).worst
    return Measurement(figure=float(np.percentile(found.cosines, 1)), worst=worst)


COSINE_P01: Final = Gate(
    name="cosine-p01",
    comparison=">=",
    meaning="1st percentile of the cosine to the original",
    advice="see the worst texts: one kind of text suffers",
    measure=_cosine_p01,
    thresholds={
        "fp32": 0.999999,
        "bf16": 0.9999,
        "fp16": 0.9999,
        "int8": 0.993,
        "native/int8": 0.999,
        "cuda/int8": 0.97,
    },
)


def _cosine_min(found: VariantMeasurements) -> Measurement:
    return lowest(found, found.cosines)


COSINE_MIN: Final = Gate(
    name="cosine-min",
    comparison=">=",
    meaning="lowest cosine to the original",
    advice="see the text: long ones point to the limit, odd ones to the tokenizer",
    measure=_cosine_min,
    thresholds={
        "fp32": 0.999999,
        "bf16": 0.9999,
        "fp16": 0.9999,
        "int8": 0.99,
        "native/int8": 0.998,
        "cuda/int8": 0.96,
    },
)


def _padded_min(found: VariantMeasurements) -> Measurement:
    places = found.graph.places
    cosines = rowwise_cosine(found.graph.padded, found.original[list(places)])
    return lowest(found, cosines, places)


PADDED_MIN: Final = Gate(
    name="padded-min",
    comparison=">=",
    meaning="lowest cosine to the original when the graph gets texts padded to the limit",
    advice="padding leaks into pooling or attention, or calibration never saw a mask",
    measure=_padded_min,
    thresholds={
        "fp32": 0.999999,
        "bf16": 0.9999,
        "fp16": 0.9999,
        "int8": 0.99,
        "native/int8": 0.998,
        "cuda/int8": 0.96,
    },
)
