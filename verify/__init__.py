"""An artifact against the original: gates, thresholds, reports."""

from minilm.verify.comparison import Comparison, compare
from minilm.verify.foreign import find_graphs, verify_foreign
from minilm.verify.policy import BUILT_IN, Policy, PolicyError, load_policy
from minilm.verify.report import GateResult, Parity, Report, TextInfo, VariantReport
from minilm.verify.verification import measure, verify_bundle
from minilm.verify.writing import REPORT_FORMATS, check_writable, write_reports

__all__ = [
    "BUILT_IN",
    "REPORT_FORMATS",
    "Comparison",
    "GateResult",
    "Parity",
    "Policy",
    "PolicyError",
    "Report",
    "TextInfo",
    "VariantReport",
    "check_writable",
    "compare",
    "find_graphs",
    "load_policy",
    "measure",
    "verify_bundle",
    "verify_foreign",
    "write_reports",
]
