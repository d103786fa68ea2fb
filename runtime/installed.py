"""Bundles that are installed as Python packages, found by name.

A data wheel (`toolkit package`) announces its bundle in the entry point group `minilm.bundles`,
under the name of its distribution and that of the model. Nothing of it is imported: a bundle is
found where the entry point's module lies.
"""

import re
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from minilm.runtime.errors import InvalidArtifact, UsageError
from minilm.runtime.manifest import MANIFEST_NAME

__all__ = ["BUNDLE_FOLDER", "GROUP", "find_bundle", "installed_bundle", "is_name", "normalized"]

GROUP: Final = "minilm.bundles"
BUNDLE_FOLDER: Final = "bundle"
"""Folder of the entry point's module that holds the bundle."""

_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


def is_name(path: str) -> bool:
    """Whether `path` can be the name of a distribution or a model, and no path."""
    return _NAME.fullmatch(path) is not None


def normalized(name: str) -> str:
    """A name as packaging compares names (PEP 503): "all-MiniLM_L6" is "all-minilm-l6"."""
    return re.sub(r"[-_.]+", "-", name).lower()


def find_bundle(name: str) -> Path:
    """Directory of the installed bundle of that name.

    Raises:
        InvalidArtifact: None is installed, or the one that is has lost its files.
        UsageError: Several distributions hold bundles of that model.
    """
    bundle = installed_bundle(name)
    if bundle is None:
        raise InvalidArtifact(
            f"no bundle at {name}: there is no such directory, and no installed package has a "
            "bundle of that name; `toolkit build` makes one, `toolkit package` a wheel of it"
        )
    return bundle


def installed_bundle(name: str) -> Path | None:
    """Directory of the installed bundle of that name, or None.

    Args:
        name: Name of a data wheel's distribution ("all-minilm-l6-v2-int8"), or of its model
            ("all-MiniLM-L6-v2"); case, dots and underscores do not matter.

    Raises:
        InvalidArtifact: The package that has it has lost its files.
        UsageError: Several distributions hold bundles of that model.
    """
    wanted = normalized(name)
    found = {
        entry.dist.name if entry.dist else "": entry.module
        for entry in entry_points(group=GROUP)
        if normalized(entry.name) == wanted
    }
    if not found:
        return None
    if len(found) > 1:
        raise UsageError(
            f"{name!r} is in several installed packages: name one of {', '.join(sorted(found))}"
        )
    (module,) = found.values()
    spec = find_spec(module)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        bundle = Path(folder) / BUNDLE_FOLDER
        if (bundle / MANIFEST_NAME).exists():
            return bundle
    raise InvalidArtifact(f"the installed package of {name!r} has lost its files: install it again")
