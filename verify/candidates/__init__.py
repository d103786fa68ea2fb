"""The candidates: what is compared with the reference."""

from minilm.verify.candidates.base import Candidate
from minilm.verify.candidates.bundle import BundleCandidate, CheckedBundle, check_bundle
from minilm.verify.candidates.foreign import ForeignCandidate, find_graphs

__all__ = [
    "BundleCandidate",
    "Candidate",
    "CheckedBundle",
    "ForeignCandidate",
    "check_bundle",
    "find_graphs",
]
