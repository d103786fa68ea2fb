"""Every gate by name: how its figure has to stand, what it means, what to do when it fails."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["GATES", "Comparison", "GateSpec"]

Comparison = Literal[">=", "<=", "=="]


@dataclass(frozen=True, kw_only=True)
class GateSpec:
    """What a gate asks for.

    Attributes:
        comparison: how the figure has to stand to the threshold.
        meaning: what the figure is, one sentence without a full stop.
        advice: what to do when it fails, one line.
        adjustable: whether a policy may set the threshold of it.
    """

    comparison: Comparison
    meaning: str
    advice: str
    adjustable: bool = True


GATES: Final[Mapping[str, GateSpec]] = {
    "integrity": GateSpec(
        comparison="==",
        meaning="files that are not as the manifest lists them",
        advice="copy or build the bundle again",
        adjustable=False,
    ),
    "reference": GateSpec(
        comparison="==",
        meaning="whether the reference has the weights that the manifest names (0: the same)",
        advice="name the original weights with --against, or rebuild the bundle from these",
        adjustable=False,
    ),
    "facts": GateSpec(
        comparison="==",
        meaning="facts of the model in which manifest, original and the bundle's own files differ",
        advice="the manifest, or a configuration beside it, describes another model: build again",
        adjustable=False,
    ),
    "golden": GateSpec(
        comparison=">=",
        meaning="lowest cosine between golden.npz and the reference",
        advice="golden.npz does not hold the original's vectors: build the bundle again",
        adjustable=False,
    ),
    "tokenizer": GateSpec(
        comparison="==",
        meaning="texts that the bundle's tokenizer splits otherwise than the original's",
        advice="take tokenizer.json from the original's directory, unchanged",
        adjustable=False,
    ),
    "finite": GateSpec(
        comparison="==",
        meaning="elements that are NaN or infinite",
        advice="look for overflow in half precision, and for masks of minus infinity",
        adjustable=False,
    ),
    "unit-length": GateSpec(
        comparison="<=",
        meaning="largest distance of a vector's length from 1",
        advice="the L2 norm is missing from the graph, or computed in low precision",
    ),
    "cosine-mean": GateSpec(
        comparison=">=",
        meaning="mean cosine to the original",
        advice="a fault of every text: weights, pooling, token types, or too coarse a precision",
    ),
    "cosine-p01": GateSpec(
        comparison=">=",
        meaning="1st percentile of the cosine to the original",
        advice="see the worst texts: one kind of text suffers",
    ),
    "cosine-min": GateSpec(
        comparison=">=",
        meaning="lowest cosine to the original",
        advice="see the text: long ones point to the limit, odd ones to the tokenizer",
    ),
    "padded-min": GateSpec(
        comparison=">=",
        meaning="lowest cosine to the original when the graph gets texts padded to the limit",
        advice="padding leaks into pooling or attention, or calibration never saw a mask",
    ),
    "batch-invariance": GateSpec(
        comparison=">=",
        meaning="lowest cosine of a text embedded alone to the same text among others",
        advice="a scale is taken over the whole batch: quantize activations per token",
    ),
    "padding-invariance": GateSpec(
        comparison=">=",
        meaning="lowest cosine of the graph's vector without padding to that padded to the limit",
        advice="padding changes the result: check the mask in attention and pooling",
    ),
    "outputs": GateSpec(
        comparison=">=",
        meaning="lowest cosine of sentence_embedding to last_hidden_state pooled as configured",
        advice="the two outputs disagree: pooling in the graph is not what 1_Pooling says",
    ),
    "limit": GateSpec(
        comparison="==",
        meaning="tokens that the loader reads of a long text, against the model's limit",
        advice="truncation is not at max_seq_length of sentence_bert_config.json",
        adjustable=False,
    ),
    "repeat": GateSpec(
        comparison="<=",
        meaning="largest change of an element when the same texts are embedded again",
        advice="something is left over from the call before, or memory is read uninitialized",
    ),
    "threads": GateSpec(
        comparison=">=",
        meaning="lowest cosine of a text embedded by one thread to the graph's, by several",
        advice="kernels sum by thread further apart than their precision, or the loader feeds the "
        "graph otherwise",
    ),
    "top10": GateSpec(
        comparison=">=",
        meaning="share of each text's ten nearest that stay the ten nearest, on average",
        advice="search results change: raise the precision of the worst layers",
    ),
    "kendall": GateSpec(
        comparison=">=",
        meaning="Kendall's tau of the similarities to all other texts, on average",
        advice="rankings change: raise the precision of the worst layers",
    ),
    "interface": GateSpec(
        comparison="==",
        meaning="inputs, outputs and opset that are not as the manifest says",
        advice="the graph is not the one that the manifest describes: build the bundle again",
        adjustable=False,
    ),
    "operators": GateSpec(
        comparison="==",
        meaning="operator types whose count is not what the manifest says",
        advice="the graph is not the one that the manifest describes: build the bundle again",
        adjustable=False,
    ),
    "precision": GateSpec(
        comparison=">=",
        meaning="share of the weight products computed in the promised precision",
        advice="the variant's name promises what the graph does not do",
    ),
    "sts-drop": GateSpec(
        comparison="<=",
        meaning="Spearman correlation that is lost against the original on the labelled pairs",
        advice="the artifact ranks labelled pairs worse than the original",
    ),
}
"""Every gate, in the order of the report."""
