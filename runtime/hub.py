"""Bundles on the Hugging Face Hub: downloaded when `load` is given "hub:ORG/NAME[@REVISION]"."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from minilm.runtime.errors import BackendUnavailable, InvalidArtifact, SourceError, UsageError
from minilm.runtime.manifest import MANIFEST_NAME

__all__ = ["PREFIX", "HubBundle"]

PREFIX: Final = "hub:"

_REFERENCE: Final = re.compile(r"hub:(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
_SHOWN_DIGITS: Final = 12


@dataclass(frozen=True, kw_only=True)
class HubBundle:
    """A bundle in a repository of the Hub, of which the manifest has been downloaded.

    Attributes:
        name: Repository, "ORG/NAME".
        revision: Revision that was asked for; None for the newest.
        directory: Snapshot in the Hub's cache; its last part is the commit.
    """

    name: str
    revision: str | None
    directory: Path

    @classmethod
    def open(cls, reference: str) -> Self:
        """Download the manifest of "hub:ORG/NAME[@REVISION]".

        Raises:
            UsageError: `reference` is not of that form.
            BackendUnavailable: huggingface_hub is not installed.
            SourceError: The Hub refused, or is out of reach and nothing is cached.
            InvalidArtifact: The repository has no manifest.
        """
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            raise UsageError(
                f"{reference!r} names no bundle on the Hub: expected hub:ORG/NAME or "
                "hub:ORG/NAME@REVISION"
            )
        name, revision = match["name"], match["revision"]
        directory = _snapshot(name, revision, [MANIFEST_NAME])
        if not (directory / MANIFEST_NAME).exists():
            raise InvalidArtifact(
                f"{name} on the Hub has no {MANIFEST_NAME}: it is not a bundle that `toolkit push` "
                "uploaded"
            )
        return cls(name=name, revision=revision, directory=directory)

    def fetch(self, paths: Iterable[str]) -> None:
        """Download files of the same commit; those that are cached are not downloaded again.

        Raises:
            SourceError: As `open`.
        """
        _snapshot(self.name, self.directory.name, list(paths))

    @property
    def origin(self) -> str:
        """Repository and commit, in a sentence."""
        commit = self.directory.name[:_SHOWN_DIGITS]
        how = "the newest, since no revision was given" if self.revision is None else self.revision
        return f"From {self.name} on the Hub at commit {commit} ({how})."


def _snapshot(name: str, revision: str | None, paths: list[str]) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise BackendUnavailable(
            f"{name} must be downloaded, which needs huggingface_hub: pip install huggingface_hub"
        ) from error
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=paths))
    except (LocalEntryNotFoundError, OSError) as error:
        # With nothing cached, what went wrong on the way is the cause of "no local entry".
        reason = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else error
        refused = isinstance(reason, HfHubHTTPError)
        what = "the Hub refused" if refused else "the Hub is out of reach and nothing is cached"
        at = f" at revision {revision!r}" if revision else ""
        raise SourceError(
            f"cannot download {name}{at}: {what}; check the name, the token and the network"
        ) from error
