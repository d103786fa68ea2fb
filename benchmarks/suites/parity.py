"""Every variant of a bundle against PyTorch, over texts of one's own: the gates' own figures."""

import sys
from pathlib import Path
from typing import Final

from minilm import verify
from minilm.verify import CustomCorpus, Report, Sample, VariantReport

from benchmarks.reporting import machine
from benchmarks.reporting.markdown import heading, markdown
from benchmarks.suites.peers import texts_of

__all__ = ["run", "table"]

_LONG: Final = "long"
_GATES: Final = {
    "batch-invariance": "alone against in a batch, minimum",
    "padding-invariance": "alone against padded, minimum",
    "top10": "top-10 overlap",
    "sts-drop": "Spearman drop on STS",
}
"""Gates whose figures are shown beside the cosines, with the head of their column."""


def run(bundle: Path, texts: Path | None, sts: Path | None, output: Path) -> str:
    """Measure every variant; write and give the report.

    Raises:
        ToolkitError: the bundle or the weights cannot be loaded, or the STS file cannot be read.
    """
    pairs = verify.read_sts_pairs(sts) if sts else None
    found, _ = texts_of(bundle, texts or sts, None)
    samples = [Sample(text=text, category="short") for text in dict.fromkeys(found.short)]
    samples += [Sample(text=text, category=_LONG) for text in found.long]
    report = verify.verify_bundle(
        verify.check_bundle(bundle),
        verify.load_original(None),
        corpus=CustomCorpus(samples=tuple(samples), description=found.source),
        pairs=pairs,
        on_progress=lambda line: print(line, file=sys.stderr, flush=True),
    )
    facts = [*machine.describe().items(), ("texts", found.source), ("against", report.reference)]
    text = heading("Parity", facts) + "\n" + table(report)
    output.mkdir(parents=True, exist_ok=True)
    (output / "parity.md").write_text(text, encoding="utf-8")
    return text


def table(report: Report) -> str:
    """The table, a line for each variant."""
    columns = ("variant", "cosine mean", "minimum", "long, minimum", *_GATES.values())
    return markdown(columns, [_row(variant, report) for variant in report.variants])


def _row(variant: VariantReport, report: Report) -> tuple[str, ...]:
    pairs = zip(report.corpus, variant.cosines, strict=True)
    long = [cosine for text, cosine in pairs if text.category == _LONG]
    figures = {gate.name: gate.figure for gate in variant.gates}
    return (
        variant.name,
        f"{variant.parity.mean:.5f}",
        f"{variant.parity.minimum:.4f}",
        f"{min(long):.4f}" if long else "no long texts",
        *(f"{figures[name]:.5f}" if name in figures else "not measured" for name in _GATES),
    )
