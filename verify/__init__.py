"""An artifact against the original: gates, thresholds, reports.

from pathlib import Path
from minilm.verify import check_bundle, resolve_reference, verify_bundle

bundle = check_bundle(Path("artifacts/all-MiniLM-L6-v2"))
report = verify_bundle(bundle, resolve_reference(None, bundle.directory))
print(report.passed, [gate.name for _, gate in report.failures])
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from minilm.verify.bundle import measure, measure_parity, verify_bundle
    from minilm.verify.candidates import CheckedBundle, check_bundle, find_graphs
    from minilm.verify.comparison import Comparison, compare
    from minilm.verify.foreign import open_foreign, verify_foreign
    from minilm.verify.policy import BUILT_IN, Policy, PolicyError, load_policy
    from minilm.verify.quick import verify_quickly
    from minilm.verify.reference.baseline import (
        RejectedReference,
        load_original,
        resolve_reference,
    )
    from minilm.verify.reference.corpus import CustomCorpus, Sample
    from minilm.verify.reference.corpus_file import read_corpus_file
    from minilm.verify.reference.sts_pairs import SentencePair, read_sts_pairs
    from minilm.verify.reports import REPORT_FORMATS, render_report
    from minilm.verify.reports.files import check_writable, write_reports
    from minilm.verify.results import (
        GateResult,
        Parity,
        Report,
        ReportFormat,
        Skipped,
        TextInfo,
        VariantReport,
    )

# Imported when first asked for: `toolkit verify --help` needs the report formats, not NumPy.
_HOMES: Final = {
    "BUILT_IN": "policy",
    "REPORT_FORMATS": "reports",
    "CheckedBundle": "candidates",
    "Comparison": "comparison",
    "CustomCorpus": "reference.corpus",
    "GateResult": "results",
    "Parity": "results",
    "Policy": "policy",
    "PolicyError": "policy",
    "RejectedReference": "reference.baseline",
    "Report": "results",
    "ReportFormat": "results",
    "Sample": "reference.corpus",
    "SentencePair": "reference.sts_pairs",
    "Skipped": "results",
    "TextInfo": "results",
    "VariantReport": "results",
    "check_bundle": "candidates",
    "check_writable": "reports.files",
    "compare": "comparison",
    "find_graphs": "candidates",
    "load_original": "reference.baseline",
    "load_policy": "policy",
    "measure": "bundle",
    "measure_parity": "bundle",
    "open_foreign": "foreign",
    "read_corpus_file": "reference.corpus_file",
    "read_sts_pairs": "reference.sts_pairs",
    "render_report": "reports",
    "resolve_reference": "reference.baseline",
    "verify_bundle": "bundle",
    "verify_foreign": "foreign",
    "verify_quickly": "quick",
    "write_reports": "reports.files",
}

__all__ = [
    "BUILT_IN",
    "REPORT_FORMATS",
    "CheckedBundle",
    "Comparison",
    "CustomCorpus",
    "GateResult",
    "Parity",
    "Policy",
    "PolicyError",
    "RejectedReference",
    "Report",
    "ReportFormat",
    "Sample",
    "SentencePair",
    "Skipped",
    "TextInfo",
    "VariantReport",
    "check_bundle",
    "check_writable",
    "compare",
    "find_graphs",
    "load_original",
    "load_policy",
    "measure",
    "measure_parity",
    "open_foreign",
    "read_corpus_file",
    "read_sts_pairs",
    "render_report",
    "resolve_reference",
    "verify_bundle",
    "verify_foreign",
    "verify_quickly",
    "write_reports",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
