"""OpenVINO's IR without what changes from process to process."""

import re
from pathlib import Path
from typing import Final

__all__ = ["normalize"]

_LAYER: Final = re.compile(r'<layer id="(\d+)" name="([^"]*)" type="(\w+)"')
_NUMBERED: Final = re.compile(r"[A-Z][A-Za-z]*_\d+")
"""Names that OpenVINO makes up count all nodes that the process ever made ("Constant_5193")."""


def normalize(path: Path) -> None:
    """Rename what the IR at `path` numbers by process: by layer in its place, type and number."""

    def rename(match: re.Match[str]) -> str:
        number, name, kind = match.groups()
        made_up = _NUMBERED.match(name)
        return (
            match[0].replace(f'name="{name}"', f'name="{kind}.{number}"') if made_up else match[0]
        )

    path.write_text(_LAYER.sub(rename, path.read_text("utf-8")), encoding="utf-8", newline="\n")
