"""Verify in one call, on few texts."""

from pathlib import Path
from typing import Any, Final

from minilm.verify import CustomCorpus, Report, check_bundle, verify_bundle
from minilm.verify.reference import Reference
from minilm.verify.reference.corpus import written_samples

__all__ = ["FEW_TEXTS", "failed_gates", "verify"]

FEW_TEXTS: Final = CustomCorpus(samples=written_samples()[::9])
"""A ninth of the corpus: enough to see a fault, and quick."""


def verify(
    bundle: Path, reference: Reference, *, variants: list[str] | None = None, **options: Any
) -> Report:
    """Check the files of a bundle, then compare it with the reference."""
    return verify_bundle(check_bundle(bundle, variants), reference, **options)


def failed_gates(report: Report) -> set[str]:
    """Names of the gates that failed, of the bundle and of all variants."""
    return {gate.name for _, gate in report.failures}
