"""Whether the files of a bundle are those that its manifest lists, before any of them is parsed."""

import hashlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Final, Literal, get_args

from minilm.runtime.errors import InvalidArtifact, UsageError
from minilm.runtime.manifest import MANIFEST_NAME, REPORT_DIR, FileEntry, Manifest

__all__ = ["IntegrityLevel", "check", "check_bytes", "check_level", "check_paths"]

IntegrityLevel = Literal["full", "sizes", "none"]

_BLOCK_BYTES: Final = 1 << 20
_HINT: Final = "build the bundle again, or fetch it again from where it came"


def check(
    bundle: Path, manifest: Manifest, level: str = "full", *, skip: Collection[str] = ()
) -> None:
    """Compare the files of `bundle` with its manifest.

    Args:
        bundle: its directory.
        manifest: what `manifest.read(bundle)` gave.
        level: "full" hashes every file (some 0.5 s per GB); "sizes" only asks the file system
            (well under 1 ms), which finds missing, truncated, unlisted and linked files but no
            altered byte; "none" looks at no file.
        skip: paths that are not to be hashed, because the caller hashes them itself.

    Raises:
        UsageError: no such level.
        InvalidArtifact: names the first file at fault and what is wrong with it.
    """
    check_level(level)
    check_paths(manifest)
    if level == "none":
        return
    found = dict(_walk(bundle, bundle))
    listed = {entry.path: entry for entry in manifest.files}
    for path in sorted(found.keys() - listed.keys()):
        raise InvalidArtifact(
            f"{path} stands in {bundle} but not in its {MANIFEST_NAME}: remove it, or {_HINT}"
        )
    for path, entry in listed.items():
        if path not in found:
            raise InvalidArtifact(f"{path} is missing from {bundle}: {_HINT}")
        _check_size(entry, found[path])
    if level == "full":
        for path, entry in listed.items():
            if path not in skip:
                _check_hash(entry, _hash_of(bundle / path))


def check_level(level: str) -> None:
    """Raise `UsageError` unless `level` is one of `IntegrityLevel`."""
    if level not in get_args(IntegrityLevel):
        raise UsageError(
            f"unknown verify {level!r}: choose one of {', '.join(get_args(IntegrityLevel))}"
        )


def check_paths(manifest: Manifest) -> None:
    """Refuse a manifest that names files outside its bundle, or names one twice.

    Raises:
        InvalidArtifact: an unsafe or repeated path, or a variant's file that is not listed.
    """
    seen: set[str] = set()
    for entry in manifest.files:
        path = entry.path
        pure = PurePosixPath(path)
        unsafe = (
            path in {"", "."}
            or pure.is_absolute()
            or ".." in pure.parts
            or "\\" in path
            or ":" in path
            or "\0" in path
            or pure.as_posix() != path
        )
        if unsafe or path == MANIFEST_NAME:
            raise InvalidArtifact(f"{MANIFEST_NAME} lists {path!r}: not a path inside a bundle")
        if path in seen:
            raise InvalidArtifact(f"{MANIFEST_NAME} lists {path!r} twice")
        seen.add(path)
    for variant in manifest.variants:
        for path in variant.files:
            if path not in seen:
                raise InvalidArtifact(
                    f"{MANIFEST_NAME} does not list {path!r}, a file of variant {variant.name}"
                )


def check_bytes(entry: FileEntry, data: bytes) -> None:
    """Compare the content of a file with its entry.

    Raises:
        InvalidArtifact: of another size or hash.
    """
    _check_size(entry, len(data))
    _check_hash(entry, hashlib.sha256(data).hexdigest())


def _walk(bundle: Path, directory: Path) -> Iterator[tuple[str, int]]:
    """Path and size in bytes of every file but the manifest and the reports; links are refused."""
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except OSError as error:
        raise InvalidArtifact(f"cannot read {directory}: {error}") from error
    for entry in entries:
        path = Path(entry.path).relative_to(bundle).as_posix()
        if entry.is_symlink():
            raise InvalidArtifact(f"{path} in {bundle} is a symbolic link: a bundle has none")
        if path in {MANIFEST_NAME, REPORT_DIR}:
            continue
        if entry.is_dir():
            yield from _walk(bundle, Path(entry.path))
        elif entry.is_file():
            yield path, entry.stat().st_size
        else:
            raise InvalidArtifact(f"{path} in {bundle} is neither a file nor a directory")


def _check_size(entry: FileEntry, size_bytes: int) -> None:
    if size_bytes != entry.bytes:
        fault = "truncated" if size_bytes < entry.bytes else "longer than built"
        raise InvalidArtifact(
            f"{entry.path} is {fault}: {size_bytes} bytes, the manifest says {entry.bytes}; {_HINT}"
        )


def _check_hash(entry: FileEntry, sha256: str) -> None:
    if sha256 != entry.sha256:
        raise InvalidArtifact(
            f"{entry.path} was altered: its SHA-256 is {sha256}, the manifest says {entry.sha256};"
            f" {_HINT}"
        )


def _hash_of(file: Path) -> str:
    digest = hashlib.sha256()
    try:
        with file.open("rb", buffering=0) as stream:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise InvalidArtifact(f"cannot read {file}: {error}") from error
    return digest.hexdigest()
