"""The files of a bundle compared with its manifest, before any of them is parsed.

A bundle arrives in many ways: copied whole or in part, cloned, from the Hub's cache, mounted file
by file. So links are followed, but only inside the delivery: the bundle's own directory, and the
folder into which the link of `manifest.json` leads, if it is one (the Hub's `blobs/`, a Nix store,
Bazel's files). And a text file whose line ends were converted on the way counts as what it was: the
bytes that are hashed, and parsed, are those with line feeds alone. No file that git could read
(`.gitattributes`) is needed for that, and every other tool that converts texts is covered too.
"""

import hashlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, Literal, get_args

from minilm.runtime.artifact import FileEntry, Variant
from minilm.runtime.errors import InvalidArtifact, UsageError
from minilm.runtime.manifest import MANIFEST_NAME, REPORT_DIR, TOKENIZER_NAME, Manifest
from minilm.runtime.reading import open_regular, read_at_most

__all__ = [
    "IntegrityLevel",
    "check",
    "check_level",
    "check_loadable",
    "missing_files",
    "read_file",
]

IntegrityLevel = Literal["full", "sizes", "none"]

_BLOCK_BYTES: Final = 1 << 20
_HINT: Final = "build the bundle again, or fetch it again from where it came"
_LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/"
_TEXT_SUFFIXES: Final = frozenset({"", ".json", ".md", ".txt", ".xml"})
_HARMLESS_SUFFIXES: Final = frozenset(
    {".md", ".rst", ".txt", ".pdf", ".html", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp"}
)
_HARMLESS_NAMES: Final = frozenset({"license", "notice", "thumbs.db", "desktop.ini"})


def check(
    bundle: Path,
    manifest: Manifest,
    level: str = "full",
    *,
    skip: Collection[str] = (),
    variants: Collection[str] | None = None,
) -> tuple[str, ...]:
    """Compare the files of `bundle` with its manifest.

    Args:
        bundle: Directory of the bundle.
        manifest: Manifest of the bundle, as `manifest.read(bundle)` gave it.
        level: Depth of the comparison. "full" hashes every file (some 0.5 s per GB); "sizes" only
            asks the file system (well under 1 ms), and finds no altered byte; "none" looks at no
            file.
        skip: Paths that are not hashed, because the caller hashes them itself.
        variants: Names of the variants that have to be there; None for all.

    Returns:
        Paths of files that the manifest does not list and no runtime reads: notes, pictures. Names
        that begin with a dot, of files and folders, are passed over.

    Raises:
        UsageError: No such level.
        InvalidArtifact: Names the first file at fault and what is wrong with it.
    """
    check_level(level)
    if level == "none":
        return ()
    delivery = _Delivery(bundle)
    spared = {
        path
        for variant in manifest.variants
        if variants is not None and variant.name not in variants
        for path in missing_files(bundle, variant)
    }
    for entry in manifest.files:
        if entry.path not in spared:
            hashed = level == "full" and entry.path not in skip
            delivery.compare(entry, hashed=hashed)
    return delivery.unlisted({entry.path for entry in manifest.files})


def check_loadable(bundle: Path, manifest: Manifest) -> None:
    """Compare the sizes of the files that `load` may read: those of the variants that are here.

    Raises:
        InvalidArtifact: Names the first file at fault and what is wrong with it.
    """
    delivery = _Delivery(bundle)
    loaded = {TOKENIZER_NAME}
    for variant in manifest.variants:
        if not missing_files(bundle, variant):
            loaded.update(variant.files)
    for entry in manifest.files:
        if entry.path in loaded:
            delivery.compare(entry, hashed=False)


def check_level(level: str) -> None:
    """Raise `UsageError` unless `level` is one of `IntegrityLevel`."""
    if level not in get_args(IntegrityLevel):
        raise UsageError(
            f"unknown verify {level!r}: choose one of {', '.join(get_args(IntegrityLevel))}"
        )


def missing_files(bundle: Path, variant: Variant) -> tuple[str, ...]:
    """Paths of the variant's files that are not in this copy of the bundle."""
    return tuple(path for path in variant.files if not os.path.lexists(bundle / path))


def read_file(bundle: Path, manifest: Manifest, path: str, level: IntegrityLevel) -> bytes:
    """Content of a file of a bundle. The bytes that are hashed are those that are returned.

    Args:
        bundle: Directory of the bundle.
        manifest: Manifest of the bundle.
        path: Path of the file in the manifest.
        level: Depth of the comparison, as in `check`.

    Raises:
        InvalidArtifact: Not listed, missing, no regular file, of another size or hash.
    """
    entry = next((entry for entry in manifest.files if entry.path == path), None)
    if entry is None:
        raise InvalidArtifact(f"the bundle has no {path}: its manifest does not list it")
    return _Delivery(bundle).read(entry, level)


class _Delivery:
    """A bundle's directory, and the folder that its manifest is linked from, if it is."""

    def __init__(self, bundle: Path) -> None:
        self._bundle = bundle
        folders = [bundle]
        manifest = bundle / MANIFEST_NAME
        if manifest.is_symlink():
            folders.append(Path(os.path.realpath(manifest)).parent)
        self._roots = tuple(Path(os.path.realpath(folder)) for folder in folders)

    def read(self, entry: FileEntry, level: IntegrityLevel) -> bytes:
        """Content of a file."""
        stream, size = self._open(entry, anywhere=level == "none")
        with stream:
            if level == "none":
                return _read(stream, entry, size)
            _check_size(entry, size, stream)
            data = _read(stream, entry, size)
        data = _with_line_feeds(entry, data)
        if level == "full":
            _check_hash(entry, hashlib.sha256(data).hexdigest())
        return data

    def compare(self, entry: FileEntry, *, hashed: bool) -> None:
        """Compare a file with its entry: its size, and its hash if so wanted."""
        stream, size = self._open(entry)
        with stream:
            _check_size(entry, size, stream)
            if size != entry.bytes:
                data = _with_line_feeds(entry, _read(stream, entry, size))
                sha256 = hashlib.sha256(data).hexdigest()
            elif hashed:
                sha256 = _hash_of(stream, entry)
            else:
                return
        _check_hash(entry, sha256)

    def unlisted(self, listed: Collection[str]) -> tuple[str, ...]:
        """Paths of the harmless files that are not listed.

        Raises:
            InvalidArtifact: One of them is none that can be passed over.
        """
        found = sorted(self._walk(self._bundle, "", listed, set()))
        for path in found:
            if not _is_harmless(path):
                raise InvalidArtifact(
                    f"{path} stands in {self._bundle} but not in its {MANIFEST_NAME}: remove it, "
                    f"or {_HINT}"
                )
        return tuple(found)

    def _open(self, entry: FileEntry, *, anywhere: bool = False) -> tuple[BinaryIO, int]:
        path = self._bundle / entry.path
        if not anywhere:
            self._check_place(path, entry.path)
        try:
            return open_regular(path)
        except FileNotFoundError as error:
            raise InvalidArtifact(
                f"{entry.path} is missing from {self._bundle}: {_HINT}"
            ) from error
        except OSError as error:
            raise InvalidArtifact(f"cannot read {path}: {error}") from error

    def _check_place(self, file: Path, path: str) -> None:
        real = Path(os.path.realpath(file))
        if not self._holds(real):
            raise InvalidArtifact(
                f"{path} in {self._bundle} is a link to {real}, which is not part of the bundle: "
                "put the file itself there"
            )

    def _holds(self, real: Path) -> bool:
        return any(real.is_relative_to(root) for root in self._roots)

    def _walk(
        self, directory: Path, prefix: str, listed: Collection[str], seen: set[str]
    ) -> Iterator[str]:
        """Paths that are not listed, but for the manifest, the reports and hidden names."""
        real = os.path.realpath(directory)
        if real in seen:
            return  # a link to a folder around it
        seen.add(real)
        try:
            entries = list(os.scandir(directory))
        except OSError as error:
            raise InvalidArtifact(f"cannot read {directory}: {error}") from error
        for entry in entries:
            path = prefix + entry.name
            if path in listed or path == MANIFEST_NAME or entry.name.startswith("."):
                continue
            if path == REPORT_DIR and entry.is_dir(follow_symlinks=False):
                continue
            inside = self._holds(Path(os.path.realpath(entry.path)))
            if entry.is_dir() and inside and path != REPORT_DIR:
                yield from self._walk(Path(entry.path), f"{path}/", listed, seen)
            else:
                yield path


def _is_harmless(path: str) -> bool:
    """Whether no runtime reads a file of that name: neither model, code nor configuration."""
    pure = PurePosixPath(path.lower())
    return pure.suffix in _HARMLESS_SUFFIXES or pure.name in _HARMLESS_NAMES


def _read(stream: BinaryIO, entry: FileEntry, size: int) -> bytes:
    try:
        return read_at_most(stream, size)
    except OSError as error:
        raise InvalidArtifact(f"cannot read {entry.path}: {error}") from error


def _with_line_feeds(entry: FileEntry, data: bytes) -> bytes:
    """`data`, with the line ends that it was built with if another checkout converted them."""
    if len(data) == entry.bytes:
        return data
    data = data.replace(b"\r\n", b"\n")
    _check_exact_size(entry, len(data))
    return data


def _check_size(entry: FileEntry, size_bytes: int, stream: BinaryIO) -> None:
    """Refuse another size than the listed one, but for a text that may have got "\r\n"."""
    if size_bytes != entry.bytes and stream.read(len(_LFS_POINTER)) == _LFS_POINTER:
        raise InvalidArtifact(
            f"{entry.path} is a Git LFS pointer, not the file itself: run `git lfs pull` where the "
            "bundle was cloned"
        )
    stream.seek(0)
    is_text = PurePosixPath(entry.path).suffix in _TEXT_SUFFIXES
    if not (is_text and entry.bytes < size_bytes <= 2 * entry.bytes):
        _check_exact_size(entry, size_bytes)


def _check_exact_size(entry: FileEntry, size_bytes: int) -> None:
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


def _hash_of(stream: BinaryIO, entry: FileEntry) -> str:
    digest = hashlib.sha256()
    try:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    except OSError as error:
        raise InvalidArtifact(f"cannot read {entry.path}: {error}") from error
    return digest.hexdigest()
