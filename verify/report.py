"""What a verification found: plain data, the same for every format that it is written in."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

__all__ = ["FORMAT", "GateResult", "Parity", "Report", "TextInfo", "VariantReport", "shorten"]

FORMAT: Final = 1
"""Of `report.json`; `report.schema.json` describes it."""


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """One gate.

    Attributes:
        name: as in `catalogue.GATES`.
        passed: whether the figure stands to the threshold as it should.
        figure: what was measured.
        threshold: what was asked for.
        comparison: how the figure has to stand to the threshold: ">=", "<=" or "==".
        meaning: what the figure is.
        worst: the worst offender, a shortened text or a name; empty where there is none.
        detail: what else a reader should know; may be empty.
        advice: what to do if it failed.
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
        """Of the cosines of a corpus."""
        import numpy as np

        values = np.array(cosines)
        return cls(
            mean=float(values.mean()),
            p01=float(np.percentile(values, 1)),
            minimum=float(values.min()),
        )


@dataclass(frozen=True, kw_only=True)
class VariantReport:
    """One variant.

    Attributes:
        name: "target/precision".
        gates: in the order of the report.
        cosines: to the original, one per text of the corpus.
        size_bytes: of its files.
        operators: operator type to count, as found in the graph.
        runs_on: how it was run, one sentence.
        notes: what was left out, and why.
        seconds: that judging it took.
    """

    name: str
    gates: tuple[GateResult, ...]
    cosines: tuple[float, ...]
    size_bytes: int
    operators: Mapping[str, int] = field(default_factory=dict)
    runs_on: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return all(gate.passed for gate in self.gates)

    @property
    def parity(self) -> Parity:
        """Mean, 1st percentile and minimum of the cosines."""
        return Parity.of(self.cosines)


@dataclass(frozen=True, kw_only=True)
class Report:
    """A whole verification.

    Attributes:
        artifact: name of the bundle's directory.
        model: id of the model that it was made from.
        reference: what it was compared with.
        policy: name of the policy.
        gates: of the bundle as a whole.
        variants: one report each.
        corpus: the texts, in the order of every `VariantReport.cosines`.
        notes: what was left out, and why.
        environment: versions, processor, system; no host name.
        seconds: that the verification took.
    """

    artifact: str
    model: str
    reference: str
    policy: str
    gates: tuple[GateResult, ...]
    variants: tuple[VariantReport, ...]
    corpus: tuple[TextInfo, ...]
    notes: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether every gate of the bundle and of each variant passed."""
        return all(gate.passed for gate in self.gates) and all(v.passed for v in self.variants)

    @property
    def failures(self) -> tuple[tuple[str, GateResult], ...]:
        """Gates that failed, each with the name of its variant, or "bundle"."""
        places = [("bundle", self.gates), *((v.name, v.gates) for v in self.variants)]
        return tuple((name, gate) for name, gates in places for gate in gates if not gate.passed)

    def to_json(self) -> str:
        """JSON as `report.schema.json` describes it."""
        data: dict[str, Any] = {"format": FORMAT, "passed": self.passed, **asdict(self)}
        for entry, variant in zip(data["variants"], self.variants, strict=True):
            entry["passed"] = variant.passed
            entry["parity"] = asdict(variant.parity) if variant.cosines else None
        return json.dumps(_plain(data), indent=1, ensure_ascii=True, allow_nan=False) + "\n"

    def to_markdown(self) -> str:
        """Markdown that fits a pull-request comment or a CI step's summary."""
        from minilm.verify.report_markdown import render

        return render(self)

    def to_html(self) -> str:
        """One self-contained page that opens offline."""
        from minilm.verify.report_html import render

        return render(self)

    def to_junit(self) -> str:
        """JUnit XML: a suite per variant, a case per gate."""
        from minilm.verify.report_junit import render

        return render(self)

    def to_sarif(self) -> str:
        """SARIF 2.1.0: a result per failed gate."""
        from minilm.verify.report_sarif import render

        return render(self)

    def to_github(self) -> str:
        """GitHub's workflow commands: an annotation per failed gate."""
        from minilm.verify.report_github import render

        return render(self)


def shorten(text: str, limit: int = 72) -> str:
    """`text` on one line of at most `limit` characters, with what cannot be seen escaped."""
    if not text:
        return "(the empty text)"
    seen = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    if not seen.strip():
        return f"(white space: {text!r})"
    return seen if len(seen) <= limit else f"{seen[: limit - 1]}\N{HORIZONTAL ELLIPSIS}"


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value
