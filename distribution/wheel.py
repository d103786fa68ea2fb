"""A bundle as a Python wheel, so that a project can depend on it by name and version.

The wheel holds the manifest as it is, the chosen variants, and the small files that a loader reads.
Its bytes depend on the bundle and the options alone: entries are stored, sorted and undated
(binary distribution format, packaging.python.org/specifications/binary-distribution-format).
"""

import base64
import hashlib
import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from minilm.distribution.verified import expect_verified
from minilm.runtime.errors import UsageError
from minilm.runtime.installed import BUNDLE_FOLDER, GROUP, is_name, normalized
from minilm.runtime.integrity import read_file
from minilm.runtime.manifest import MANIFEST_NAME, Manifest, read

__all__ = ["WheelOptions", "build_wheel", "extract"]

_DATE: Final = (1980, 1, 1, 0, 0, 0)
_LEFT_OUT: Final = "golden.npz"
"""Serves `toolkit verify` alone, which wants the whole bundle."""


@dataclass(frozen=True, kw_only=True)
class WheelOptions:
    """What goes into a wheel, and what it is called.

    Attributes:
        bundle: Directory of the bundle.
        variants: Names of the variants; None for all.
        name: Name of the distribution; None for the model's, with the precision of the variants.
        version: Version of the distribution; None for the version of minilm-toolkit that built it.
        unverified: Whether a bundle may be packaged whose report is missing.
    """

    bundle: Path
    variants: Sequence[str] | None = None
    name: str | None = None
    version: str | None = None
    unverified: bool = False


def build_wheel(options: WheelOptions, folder: Path) -> Path:
    """Write a wheel into `folder`.

    Returns:
        Path of the wheel.

    Raises:
        UsageError: The name or the version is none, or the bundle has no such variant.
        InvalidArtifact: The bundle is damaged, or was not verified.
        GateFailed: The bundle failed its verification.
    """
    manifest = read(options.bundle)
    expect_verified(options.bundle, unverified=options.unverified)
    name, version = _name(options, manifest), _version(options, manifest)
    module = normalized(name).replace("-", "_")
    information = f"{module}-{version}.dist-info"
    path = folder / f"{module}-{version}-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=folder)
    try:
        with os.fdopen(handle, "wb") as stream, zipfile.ZipFile(stream, "w") as archive:
            record = io.StringIO()
            for entry, data in _entries(options, manifest, module):
                _add(archive, record, entry, data)
            for entry, text in _metadata(name, version, module, manifest).items():
                _add(archive, record, f"{information}/{entry}", text.encode())
            record.write(f"{information}/RECORD,,\n")
            archive.writestr(_info(f"{information}/RECORD"), record.getvalue())
        Path(part).chmod(0o644)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return path


def extract(options: WheelOptions, destination: Path) -> Path:
    """Copy what a wheel would hold into a new directory, for an image without pip.

    Raises:
        UsageError: `destination` exists, or the bundle has no such variant.
        InvalidArtifact: The bundle is damaged, or was not verified.
        GateFailed: The bundle failed its verification.
    """
    if destination.exists():
        raise UsageError(f"{destination} exists: give a new directory", option="--extract-to")
    manifest = read(options.bundle)
    expect_verified(options.bundle, unverified=options.unverified)
    destination.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
    try:
        for path, data in _files(options, manifest):
            file = work / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        work.chmod(0o755)
        work.rename(destination)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return destination


def _name(options: WheelOptions, manifest: Manifest) -> str:
    if options.name is None:
        model = manifest.model.id.rsplit("/", 1)[-1]
        chosen = _variants(options, manifest)
        precisions = {variant.rpartition("/")[2] for variant in chosen}
        partial = len(chosen) < len(manifest.variants) and len(precisions) == 1
        return f"{model}-{precisions.pop()}" if partial else model
    if not is_name(options.name):
        raise UsageError(
            f"{options.name!r} is no name of a distribution: letters, digits, and - _ . between "
            "them",
            option="--name",
        )
    return options.name


def _version(options: WheelOptions, manifest: Manifest) -> str:
    from packaging.version import InvalidVersion, Version

    given = options.version or manifest.toolchain.get("minilm-toolkit", "0")
    try:
        return str(Version(given))
    except InvalidVersion as error:
        raise UsageError(
            f"{given!r} is no version: expected numbers with dots between, such as 1.0 (PEP 440)",
            option="--version",
        ) from error


def _variants(options: WheelOptions, manifest: Manifest) -> list[str]:
    names = [variant.name for variant in manifest.variants]
    missing = [name for name in options.variants or () if name not in names]
    if missing:
        raise UsageError(
            f"the bundle has no variant {missing[0]!r}; it has: {', '.join(names)}",
            option="--variants",
        )
    return [name for name in names if options.variants is None or name in options.variants]


def _files(options: WheelOptions, manifest: Manifest) -> Iterator[tuple[str, bytes]]:
    """Path and content of each file of the bundle that goes along, checked by its hash."""
    chosen = _variants(options, manifest)
    others = {
        path
        for variant in manifest.variants
        if variant.name not in chosen
        for path in variant.files
    }
    kept = {path for name in chosen for path in manifest.variant(name).files}
    yield MANIFEST_NAME, (options.bundle / MANIFEST_NAME).read_bytes()
    for entry in manifest.files:
        if entry.path in kept or entry.path not in others | {_LEFT_OUT}:
            yield entry.path, read_file(options.bundle, manifest, entry.path, "full")


def _entries(options: WheelOptions, manifest: Manifest, module: str) -> Iterator[tuple[str, bytes]]:
    text = f'"""The bundle of {manifest.model.id!r}, for minilm.runtime.load."""\n'
    yield f"{module}/__init__.py", text.encode()
    for path, data in _files(options, manifest):
        yield f"{module}/{BUNDLE_FOLDER}/{path}", data


def _metadata(name: str, version: str, module: str, manifest: Manifest) -> Mapping[str, str]:
    model = manifest.model.id.rsplit("/", 1)[-1]
    aliases = dict.fromkeys((normalized(name), normalized(model)))
    lines = [f"{alias} = {module}" for alias in aliases]
    return {
        "METADATA": (
            "Metadata-Version: 2.1\n"
            f"Name: {name}\n"
            f"Version: {version}\n"
            f"Summary: {' '.join(manifest.model.id.split())}, verified by minilm-toolkit\n"
            "Requires-Dist: minilm-toolkit\n"
        ),
        "WHEEL": (
            "Wheel-Version: 1.0\nGenerator: minilm-toolkit\nRoot-Is-Purelib: true\n"
            "Tag: py3-none-any\n"
        ),
        "entry_points.txt": "\n".join([f"[{GROUP}]", *lines, ""]),
        "top_level.txt": f"{module}\n",
    }


def _add(archive: zipfile.ZipFile, record: io.StringIO, name: str, data: bytes) -> None:
    archive.writestr(_info(name), data)
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    record.write(f"{name},sha256={digest},{len(data)}\n")


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    info.create_system = 3  # Unix, on every system
    info.external_attr = 0o100644 << 16
    return info
