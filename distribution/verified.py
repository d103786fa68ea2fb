"""Only what passed its verification leaves the house."""

import json
from pathlib import Path

from minilm.runtime.errors import GateFailed, InvalidArtifact
from minilm.runtime.manifest import REPORT_DIR

__all__ = ["expect_verified"]


def expect_verified(bundle: Path, *, unverified: bool = False) -> None:
    """Refuse a bundle that failed its verification, or that nobody verified.

    Args:
        bundle: Directory of the bundle.
        unverified: Whether one without a report will do.

    Raises:
        InvalidArtifact: There is no report, or it cannot be read.
        GateFailed: The bundle failed.
    """
    report = bundle / REPORT_DIR / "report.json"
    try:
        passed = json.loads(report.read_text("utf-8"))["passed"]
    except FileNotFoundError:
        if unverified:
            return
        raise InvalidArtifact(
            f"{bundle} has no {REPORT_DIR}/report.json, so it was not verified: run "
            f"`toolkit verify {bundle} --report-dir {bundle / REPORT_DIR}`, or say --unverified"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidArtifact(f"{report} is no report of toolkit verify: {error!r}") from error
    if passed is not True:
        raise GateFailed(f"{bundle} failed its verification: see {report.parent}")
