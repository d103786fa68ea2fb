"""What a stage leaves behind: its files, and the variant that they make up."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from minilm.runtime.manifest import FileEntry, Variant, parse_variant

__all__ = ["StageOutput"]


@dataclass(frozen=True, kw_only=True)
class StageOutput:
    """The output of one stage.

    Attributes:
        files: Entries of the files that the stage wrote, relative to the directory of the bundle.
        variant: Description of the variant that the files make up, or None.
    """

    files: tuple[FileEntry, ...]
    variant: Variant | None = None

    @classmethod
    def of(cls, work: Path, paths: Iterable[str], variant: Variant | None = None) -> "StageOutput":
        """Describe the files at `paths` below `work`. Nothing else hashes them while building."""
        return cls(files=tuple(_describe(work, path) for path in paths), variant=variant)

    def to_json(self) -> str:
        """The output as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "StageOutput":
        """Parse what `to_json` gave.

        Raises:
            ValueError: `text` is not JSON.
            KeyError: a field is missing.
            TypeError: a field is unknown, or its value has another shape.
        """
        data = json.loads(text)
        return cls(
            files=tuple(FileEntry(**entry) for entry in data["files"]),
            variant=None if data["variant"] is None else parse_variant(data["variant"]),
        )


def _describe(work: Path, path: str) -> FileEntry:
    with (work / path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileEntry(path=path, bytes=file.tell(), sha256=digest)
