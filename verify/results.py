"""Results of a verification: plain data, the same for every format that it is written in."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, Literal

from minilm.runtime.display import visible

__all__ = [
    "SWITCHED_OFF",
    "GateResult",
    "Parity",
    "Report",
    "ReportFormat",
    "Skipped",
    "TextInfo",
    "VariantReport",
    "quote",
    "shorten",
]

ReportFormat = Literal["json", "markdown", "html", "junit", "sarif", "github"]

SWITCHED_OFF: Final = "switched off by the policy"
"""Reason of a gate that was skipped by the user's choice."""

_EMPTY: Final = "(the empty text)"
_WHITE_SPACE: Final = "(white space: "


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """Outcome of one gate.

    Attributes:
        name: Name of the gate, as in `gates.GATES`.
        passed: True if the figure meets the threshold.
        figure: Measured value.
        threshold: Required value.
        comparison: Operator between figure and threshold: ">=", "<=" or "==".
        meaning: Description of the figure.
        worst: Worst example, a shortened text or a name; empty if there is none.
        detail: Further information for the reader; may be empty.
        advice: Remedy for a failure.
    """

    name: str
    passed: bool
    figure: float
    threshold: float
    comparison: str
    meaning: str
    worst: str = ""
    detail: str = ""
    advice: str = ""


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A gate that was not evaluated, and the reason as a phrase without a full stop."""

    gate: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class TextInfo:
    """One text of the corpus: shortened, its category, its tokens (special ones in, not cut)."""

    text: str
    category: str
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Cosines of one variant to the original over the corpus: mean, 1st percentile, minimum."""

    mean: float
    p01: float
    minimum: float

    @classmethod
    def of(cls, cosines: Sequence[float]) -> "Parity":
        """Summarize the cosines of a corpus."""
        import numpy as np

        values = np.array(cosines)
        return cls(
            mean=float(values.mean()),
            p01=float(np.percentile(values, 1)),
            minimum=float(values.min()),
        )


@dataclass(frozen=True, kw_only=True)
class VariantReport:
    """Outcome of one variant.

    Attributes:
        name: "target/precision", or the path of another tool's graph.
        gates: Results in the order of the report.
        cosines: Cosine to the original, one per text of the corpus.
        size_bytes: Total size of the variant's files.
        operators: Operator type to count, as found in the graph.
        runs_on: Backend, device and reason for the choice, in one sentence.
        skipped: Gates that were not evaluated.
        seconds: Duration of the evaluation.
    """

    name: str
    gates: tuple[GateResult, ...]
    cosines: tuple[float, ...]
    size_bytes: int
    operators: Mapping[str, int] = field(default_factory=dict)
    runs_on: str = ""
    skipped: tuple[Skipped, ...] = ()
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return all(gate.passed for gate in self.gates)

    @property
    def parity(self) -> Parity:
        """Mean, 1st percentile and minimum of the cosines."""
        return Parity.of(self.cosines)

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence for each reason that skipped gates."""
        return tuple(_sentences(self.skipped))


@dataclass(frozen=True, kw_only=True)
class Report:
    """A whole verification.

    Attributes:
        artifact: Name of the bundle's directory.
        model: Id of the model that the bundle was made from.
        reference: Name of the reference.
        policy: Name of the policy.
        gates: Results of the bundle as a whole.
        variants: One report per variant.
        corpus: Texts, in the order of every `VariantReport.cosines`.
        skipped: Gates of the bundle that were not evaluated.
        remarks: Further restrictions of the verification, one sentence each.
        environment: Date, commit, versions, processor, system; no host name.
        seconds: Duration of the verification.
        command: Command line that repeats the verification; empty if it is not known.
    """

    artifact: str
    model: str
    reference: str
    policy: str
    gates: tuple[GateResult, ...]
    variants: tuple[VariantReport, ...]
    corpus: tuple[TextInfo, ...]
    skipped: tuple[Skipped, ...] = ()
    remarks: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    command: str = ""

    @property
    def passed(self) -> bool:
        """Whether every gate of the bundle and of each variant passed."""
        return all(gate.passed for gate in self.gates) and all(v.passed for v in self.variants)

    @property
    def failures(self) -> tuple[tuple[str, GateResult], ...]:
        """Gates that failed, each with the name of its variant, or "bundle"."""
        return tuple(
            (place, gate) for place, gates in self.places() for gate in gates if not gate.passed
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks, and one sentence for each reason that skipped gates of the bundle."""
        return (*_sentences(self.skipped), *self.remarks)

    def places(self) -> Iterator[tuple[str, tuple[GateResult, ...]]]:
        """Gates of the bundle, then of each variant, each with the name of its place."""
        yield "bundle", self.gates
        yield from ((variant.name, variant.gates) for variant in self.variants)

    def all_notes(self) -> Iterator[tuple[str, str]]:
        """Notes of the bundle, then of each variant, each with the name of its place."""
        yield from (("bundle", note) for note in self.notes)
        yield from ((variant.name, note) for variant in self.variants for note in variant.notes)


def shorten(text: str, limit: int = 72) -> str:
    """`text` on one line of at most `limit` characters, with what cannot be seen escaped."""
    if not text:
        return _EMPTY
    seen = visible(text)
    if not seen.strip():
        return f"{_WHITE_SPACE}{text!r})"
    return seen if len(seen) <= limit else f"{seen[: limit - 1]}\N{HORIZONTAL ELLIPSIS}"


def quote(shortened: str) -> str:
    """What `shorten` gives, in quotation marks, unless it describes a text that cannot be seen."""
    described = shortened == _EMPTY or shortened.startswith(_WHITE_SPACE)
    return (
        shortened
        if described
        else f"\N{LEFT DOUBLE QUOTATION MARK}{shortened}\N{RIGHT DOUBLE QUOTATION MARK}"
    )


def _sentences(skipped: Iterable[Skipped]) -> Iterator[str]:
    """Join neighbours that were skipped for one reason; a policy's choices stay apart."""
    for _, group in groupby(
        skipped, key=lambda item: (item.reason, item.reason == SWITCHED_OFF and item.gate)
    ):
        block = list(group)
        *others, last = [item.gate for item in block]
        names = f"gates {', '.join(others)} and {last}" if others else f"gate {last}"
        yield f"{names}: {block[0].reason}"
