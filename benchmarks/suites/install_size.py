"""Installed size of a requirement and all that it brings; runs by itself in an environment.

    python -I install_size.py "minilm-toolkit[cpu]"

Prints JSON: bytes, and the version of each distribution counted. Files are those that pip recorded,
compiled modules included.
"""

import json
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from typing import Any

__all__ = ["closure", "main", "size_bytes"]


def closure(requirement: str) -> dict[str, Distribution]:
    """Distributions that `requirement` brings, itself included, by normalized name.

    Raises:
        PackageNotFoundError: it is not installed; an absent dependency is passed by.
    """
    packaging = _packaging()
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    wanted = [packaging.Requirement(requirement)]
    while wanted:
        one = wanted.pop()
        name = one.name.lower().replace("_", "-").replace(".", "-")
        try:
            dist = distribution(one.name)
        except PackageNotFoundError:
            if not found:
                raise
            continue
        found[name] = dist
        for extra in ("", *one.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                for text in dist.requires or ():
                    needed = packaging.Requirement(text)
                    if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                        wanted.append(needed)
    return found


def size_bytes(dist: Distribution) -> int:
    """Bytes of the files of a distribution."""
    paths = (dist.locate_file(file) for file in dist.files or ())
    return sum(_size(str(path)) for path in paths)


def main(requirement: str) -> None:
    """Print the size and the versions."""
    found = closure(requirement)
    total = sum(size_bytes(dist) for dist in found.values())
    versions = {name: dist.version for name, dist in sorted(found.items())}
    print(json.dumps({"bytes": total, "versions": versions}))


def _packaging() -> Any:
    """`packaging.requirements`, or pip's own copy of it."""
    from importlib import import_module

    prefix = "" if find_spec("packaging") else "pip._vendor."
    return import_module(f"{prefix}packaging.requirements")


def _size(path: str) -> int:
    from pathlib import Path

    file = Path(path)
    return file.stat().st_size if file.is_file() else 0


if __name__ == "__main__":
    main(sys.argv[1])
