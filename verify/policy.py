"""How good an artifact has to be: a threshold per gate and variant, built in or from a TOML file.

A file names variants ("cpu/int8"), precisions ("int8") or all ("*"), the narrower one winning, and
changes thresholds or switches a gate off with `false`:

    ["*"]
    unit-length = 0.0001

    [int8]
    cosine-min = 0.995

    ["cuda/int8"]
    kendall = false
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from minilm.runtime.errors import UsageError
from minilm.runtime.manifest import VARIANTS, Precision

__all__ = ["BUILT_IN", "GATES", "GateSpec", "Policy", "PolicyError", "load_policy"]

Comparison = Literal[">=", "<=", "=="]


class PolicyError(UsageError):
    """A policy file cannot be read; the message names the file and the line."""


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
        meaning="lowest cosine between one thread and several",
        advice="a kernel sums in another order by thread, further than its precision allows",
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

_ALL: Final[Mapping[str, float | None]] = {
    "unit-length": 1e-3,
    "outputs": 0.9999,
    "repeat": 1e-6,
    "precision": 0.99,
}
_BY_KIND: Final[Mapping[str, Mapping[str, float | None]]] = {
    "fp32": {
        "unit-length": 1e-5,
        "cosine-mean": 0.999999,
        "cosine-p01": 0.999999,
        "cosine-min": 0.999999,
        "padded-min": 0.999999,
        "batch-invariance": 0.999999,
        "padding-invariance": 0.999999,
        "outputs": 0.999999,
        "threads": 0.999999,
        "top10": 0.999,
        "kendall": 0.999,
        "sts-drop": 0.0001,
    },
    **{
        half: {
            "cosine-mean": 0.9999,
            "cosine-p01": 0.9999,
            "cosine-min": 0.9999,
            "padded-min": 0.9999,
            "batch-invariance": 0.9999,
            "padding-invariance": 0.9999,
            "threads": 0.9999,
            "top10": 0.95,
            "kendall": 0.98,
            "sts-drop": 0.001,
        }
        for half in ("bf16", "fp16")
    },
    "int8": {
        "cosine-mean": 0.998,
        "cosine-p01": 0.99,
        "cosine-min": 0.99,
        "padded-min": 0.99,
        "batch-invariance": 0.999,
        "padding-invariance": 0.999,
        "threads": 0.9999,
        "top10": 0.85,
        "kendall": 0.93,
        "sts-drop": 0.005,
    },
    "cpu/int8": {"batch-invariance": 0.9999, "padding-invariance": 0.9999},
    # Layers are left out of int8 there, where parity needs it.
    "openvino/int8": {"precision": 0.5},
    "cuda/int8": {
        "precision": 0.5,
        "cosine-mean": 0.99,
        "cosine-p01": 0.96,
        "cosine-min": 0.96,
        "padded-min": 0.96,
        "top10": 0.7,
        "kendall": 0.85,
        "sts-drop": 0.01,
    },
}


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Thresholds.

    Attributes:
        name: for the report: "built-in", or the file.
        rules: "*", precision or variant name to gate to threshold; None switches a gate off.
    """

    name: str
    rules: Mapping[str, Mapping[str, float | None]]

    def thresholds(self, variant: str) -> dict[str, float | None]:
        """Thresholds for the variant "target/precision", every layer of the rules applied."""
        precision = variant.rpartition("/")[2]
        merged: dict[str, float | None] = {}
        for key in ("*", precision, variant):
            merged |= self.rules.get(key, {})
        return merged


BUILT_IN: Final = Policy(name="built-in", rules={"*": _ALL, **_BY_KIND})


def load_policy(path: Path) -> Policy:
    """Read a policy file on top of the built-in one.

    Raises:
        PolicyError: it cannot be read or parsed, or names an unknown gate or variant.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"cannot read the policy {path}: {error}") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"the policy {path} is not TOML: {error}") from error
    changes = {key: _section(path, text, key, value) for key, value in data.items()}
    rules = {key: dict(value) for key, value in BUILT_IN.rules.items()}
    for key in sorted(changes, key=_width):
        for narrower, values in rules.items():
            # What the file says of many variants wins over what is built in for one of them.
            if key == "*" or narrower.endswith(f"/{key}"):
                values |= {gate: x for gate, x in changes[key].items() if gate in values}
        rules.setdefault(key, {}).update(changes[key])
    return Policy(name=path.name, rules=rules)


def _width(key: str) -> int:
    return 0 if key == "*" else 1 + key.count("/")


def _section(path: Path, text: str, key: str, values: Any) -> dict[str, float | None]:
    known = ("*", *get_args(Precision), *VARIANTS)
    if key not in known or not isinstance(values, dict):
        raise PolicyError(
            f"{path}, line {_line(text, None, key)}: {key!r} is no section of a policy; "
            f"expected one of: {', '.join(known)}"
        )
    return {gate: _value(path, text, key, gate, value) for gate, value in values.items()}


def _value(path: Path, text: str, key: str, gate: str, value: Any) -> float | None:
    where = f"{path}, line {_line(text, key, gate)}"
    adjustable = [name for name, spec in GATES.items() if spec.adjustable]
    if gate not in GATES:
        raise PolicyError(f"{where}: unknown gate {gate!r}; known: {', '.join(adjustable)}")
    if gate not in adjustable:
        raise PolicyError(f"{where}: the gate {gate!r} has no threshold to set")
    if value is False:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1 <= value <= 1:
        raise PolicyError(
            f"{where}: {gate} = {value!r}; expected a number from -1 to 1, or false to switch "
            "the gate off"
        )
    return float(value)


def _line(text: str, section: str | None, key: str) -> int:
    """Line of `key`, which tomllib does not tell; of the section's header where key is one."""
    quoted = rf"""["']?{re.escape(key)}["']?"""
    current: str | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"""\s*\[\s*["']?(.*?)["']?\s*\]""", line)
        if header:
            current = header[1]
            if section is None and current == key:
                return number
        elif (section is None or current == section) and re.match(rf"\s*{quoted}\s*[=.]", line):
            return number
    return 1
