"""Reports on disk: every format staged first, then all of them put in place."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from minilm.runtime.errors import UsageError
from minilm.runtime.manifest import MANIFEST_NAME, REPORT_DIR
from minilm.verify.reports import REPORT_FORMATS
from minilm.verify.results import Report, ReportFormat

__all__ = ["DEFAULT_FORMATS", "ReportPathError", "check_writable", "write_reports"]

DEFAULT_FORMATS: Final[tuple[ReportFormat, ...]] = ("json", "markdown", "html", "junit")


class ReportPathError(UsageError):
    """Reports cannot be written where they were asked for."""


def write_reports(
    report: Report, directory: Path, *, formats: Sequence[str] = DEFAULT_FORMATS
) -> None:
    """Write a report into `directory`, which is made if need be; nothing half-written is left.

    Raises:
        ReportPathError: a format is unknown, or the directory cannot be written.
    """
    unknown = [name for name in formats if name not in REPORT_FORMATS]
    if unknown:
        raise ReportPathError(
            f"unknown report format {unknown[0]!r}; known: {', '.join(REPORT_FORMATS)}"
        )
    texts = {name: render(report) for name, render in (REPORT_FORMATS[f] for f in formats)}
    staged: list[tuple[Path, Path]] = []
    mark = os.urandom(4).hex()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            temporary = directory / f".{name}.{mark}.part"
            # Created here: a link or a file of that name is somebody else's.
            with temporary.open("x", encoding="utf-8", newline="\n") as stream:
                staged.append((temporary, directory / name))
                stream.write(text)
        for temporary, final in staged:
            temporary.replace(final)
    except OSError as error:
        raise ReportPathError(f"cannot write reports to {directory}: {error}") from error
    finally:
        for temporary, _ in staged:
            if temporary.is_file():
                temporary.unlink()


def check_writable(
    directory: Path, *, formats: Sequence[str] = DEFAULT_FORMATS, bundle: Path | None = None
) -> None:
    """Find out before the work starts whether reports can be written; leaves no trace.

    Args:
        directory: where to.
        formats: of `REPORT_FORMATS`.
        bundle: what is verified; a report among its files would damage it.

    Raises:
        ReportPathError: they cannot; the message says why.
    """
    if bundle is not None and (bundle / MANIFEST_NAME).is_file():
        inside, whole = directory.resolve(), bundle.resolve()
        if inside.is_relative_to(whole) and inside.relative_to(whole).parts[:1] != (REPORT_DIR,):
            raise ReportPathError(
                f"cannot write reports to {directory}: the manifest of {bundle} does not list "
                f"them, and it would no longer verify; only {bundle / REPORT_DIR} is free for "
                "reports"
            )
    nearest = directory
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise ReportPathError(f"cannot write reports to {directory}: {nearest} is a file")
    for name, _ in (REPORT_FORMATS[wanted] for wanted in formats):
        if (directory / name).is_dir():
            raise ReportPathError(
                f"cannot write reports to {directory}: {directory / name} is a directory"
            )
    probe = nearest / f".toolkit-probe.{os.urandom(4).hex()}"
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise ReportPathError(f"cannot write reports to {directory}: {error}") from error
