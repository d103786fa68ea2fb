"""`golden.npz`: probe texts and the original's vectors, so that a self-check needs no PyTorch.

An uncompressed zip of plain arrays with a fixed date: the same content gives the same bytes, and
`numpy.load(..., allow_pickle=False)` reads it.

    format           int32, ()
    texts            uint8, the texts in UTF-8, one after the other
    text_ends        int64, (texts,), where each one ends, in bytes
    categories       uint8, JSON list of a category per text, in UTF-8
    vectors          float32, (texts, dimension)
    ids              int32, token ids of all texts, one after the other
    id_ends          int64, (texts,), where each one's ids end
    max_tokens       int32, ()
    weights_sha256   uint8, (32,)
"""

import io
import itertools
import json
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.files import write_atomically
from minilm.verify.reference.base import Reference, Vectors
from minilm.verify.reference.corpus import Sample, build_corpus
from minilm.verify.tokenizer import token_counter

__all__ = ["GOLDEN_NAME", "GoldenReference", "write_golden"]

GOLDEN_NAME: Final = "golden.npz"
FORMAT: Final = 1

_MAX_BYTES: Final = 1 << 26
"""The default model's file takes under a megabyte."""

_MAX_TOKENS: Final = 1 << 15
# As NumPy writes it. Its own reader takes any literal of Python and trusts the shape.
_HEADER: Final = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '(?P<kind>[<>|]\w{1,9})', "
    rb"'fortran_order': (?P<by_columns>True|False), 'shape': \((?P<shape>[\d, ]{0,60})\), \} *\n",
    re.DOTALL,
)
_WHOLE: Final = ("<i4", "<i8")
_BYTES: Final = ("|u1",)
_ARRAYS: Final[Mapping[str, tuple[tuple[str, ...], int]]] = {
    "format": (_WHOLE, 0),
    "texts": (_BYTES, 1),
    "text_ends": (_WHOLE, 1),
    "categories": (_BYTES, 1),
    "vectors": (("<f4",), 2),
    "ids": (_WHOLE, 1),
    "id_ends": (_WHOLE, 1),
    "max_tokens": (_WHOLE, 0),
    "weights_sha256": (_BYTES, 1),
}
"""Each array's types and its number of axes."""
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)

Arrays = dict[str, npt.NDArray[Any]]
Pieces = TypeVar("Pieces", bytes, npt.NDArray[Any])
_BAD_ZIP: Final = (zipfile.BadZipFile, RuntimeError, EOFError, OSError, struct.error, zlib.error)


def write_golden(bundle_dir: Path, reference: Reference) -> None:
    """Write `golden.npz` into `bundle_dir` for the corpus of the model that is there.

    Args:
        bundle_dir: has `tokenizer.json` (a manifest is not needed yet).
        reference: the original.

    Raises:
        InvalidArtifact: there is no usable `tokenizer.json`.
    """
    samples = build_corpus(reference.max_tokens, token_counter(bundle_dir))
    texts = [sample.text for sample in samples]
    blobs = [text.encode("utf-8") for text in texts]
    ids = reference.token_ids(texts)
    categories = json.dumps([sample.category for sample in samples]).encode("utf-8")
    arrays: Arrays = {
        "format": np.array(FORMAT, dtype=np.int32),
        "texts": np.frombuffer(b"".join(blobs), dtype=np.uint8),
        "text_ends": np.cumsum([len(blob) for blob in blobs], dtype=np.int64),
        "categories": np.frombuffer(categories, dtype=np.uint8),
        "vectors": np.ascontiguousarray(reference.encode(texts), dtype=np.float32),
        "ids": np.array([i for row in ids for i in row], dtype=np.int32),
        "id_ends": np.cumsum([len(row) for row in ids], dtype=np.int64),
        "max_tokens": np.array(reference.max_tokens, dtype=np.int32),
        "weights_sha256": np.frombuffer(bytes.fromhex(reference.weights_sha256), dtype=np.uint8),
    }
    path = bundle_dir / GOLDEN_NAME
    write_atomically(path, _pack(arrays))


class GoldenReference:
    """The original's vectors as `golden.npz` holds them; only its probe texts can be asked for.

    Attributes:
        name: for a report.
        weights_sha256: of the weights that the vectors come from, hexadecimal.
        max_tokens: of the original.
        corpus: the probe texts with their categories.
    """

    def __init__(self, bundle: Path) -> None:
        """Read `golden.npz` of `bundle`.

        Raises:
            InvalidArtifact: it is missing, unreadable or inconsistent.
        """
        path = bundle / GOLDEN_NAME
        arrays = _unpack(path)
        try:
            self._fill(arrays)
        except (ValueError, RecursionError) as error:
            raise InvalidArtifact(f"{path} is inconsistent: {error}") from error
        self.name = f"{GOLDEN_NAME} of the bundle (the original's vectors, recorded by the build)"

    def _fill(self, arrays: Arrays) -> None:
        if int(arrays["format"]) != FORMAT:
            raise ValueError(f"format {int(arrays['format'])}, this version reads {FORMAT}")
        self.max_tokens = int(arrays["max_tokens"])
        if not 2 < self.max_tokens <= _MAX_TOKENS:
            raise ValueError(f"max_tokens {self.max_tokens}, expected 3 to {_MAX_TOKENS}")
        self.weights_sha256 = arrays["weights_sha256"].tobytes().hex()
        blob = arrays["texts"].tobytes()
        texts = [part.decode("utf-8") for part in _split(blob, arrays["text_ends"])]
        categories = json.loads(arrays["categories"].tobytes())
        if not isinstance(categories, list):
            raise ValueError("categories are no list")  # noqa: TRY004 - of the file, not the caller
        self._vectors = arrays["vectors"].astype(np.float32)
        self._ids = _split(arrays["ids"], arrays["id_ends"])
        counts = {len(texts), len(categories), len(self._vectors), len(self._ids)}
        if len(counts) > 1 or not texts:
            raise ValueError(
                f"{len(texts)} texts, {len(categories)} categories, {len(self._ids)} token lists "
                f"and vectors of shape {self._vectors.shape}"
            )
        pairs = zip(texts, categories, strict=True)
        self.corpus = tuple(Sample(text=t, category=str(c)) for t, c in pairs)
        self._places = {text: place for place, text in enumerate(texts)}

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Recorded vectors: float32, (texts, dimension).

        Raises:
            KeyError: a text is no probe text.
        """
        return self._vectors[[self._places[text] for text in texts]]

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Recorded token ids.

        Raises:
            KeyError: a text is no probe text.
        """
        return [self._ids[self._places[text]].tolist() for text in texts]


def _split(whole: Pieces, ends: npt.NDArray[Any]) -> list[Pieces]:
    edges = [0, *map(int, ends)]
    if edges != sorted(edges) or edges[-1] != len(whole):
        raise ValueError(f"pieces end at {edges[-1]} of {len(whole)}")
    return [whole[a:b] for a, b in itertools.pairwise(edges)]


def _pack(arrays: Arrays) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in _ARRAYS:
            member = io.BytesIO()
            np.lib.format.write_array(member, arrays[name], version=(1, 0), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=_EPOCH)
            info.create_system = 3  # else it tells the system that wrote it
            archive.writestr(info, member.getvalue())
    return buffer.getvalue()


def _unpack(path: Path) -> Arrays:
    """Read the arrays of a file of unknown origin, in memory that its size bounds.

    Raises:
        InvalidArtifact: It is missing or not what `_pack` writes.
    """
    if path.exists() and not path.is_file():
        raise InvalidArtifact(f"{path} is not a regular file")
    try:
        size_bytes = path.stat().st_size
        if size_bytes > _MAX_BYTES:
            raise InvalidArtifact(f"{path} has {size_bytes} bytes, expected at most {_MAX_BYTES}")
        with path.open("rb") as file:
            content = file.read(size_bytes)
    except FileNotFoundError as error:
        raise InvalidArtifact(
            f"{path} does not exist: without it and without PyTorch there is nothing to compare "
            'with; pip install "minilm-toolkit[build]", or build the bundle again'
        ) from error
    except OSError as error:
        raise InvalidArtifact(f"cannot read {path}: {error}") from error
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name: _array(archive, name) for name in _ARRAYS}
    except (*_BAD_ZIP, KeyError, ValueError) as error:
        raise InvalidArtifact(f"cannot read {path}: {type(error).__name__}: {error}") from error


def _array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    """One array; its header is believed only as far as there are bytes for it."""
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise ValueError(f"{name} is compressed, expected arrays as they are")
    content = archive.read(info)
    header = _HEADER.match(content)
    if header is None or header.end() != 10 + int.from_bytes(content[8:10], "little"):
        raise ValueError(f"{name} does not begin as an array in NPY format 1.0")
    kind, by_columns = header["kind"].decode("ascii"), header["by_columns"] == b"True"
    shape = tuple(map(int, header["shape"].replace(b",", b" ").split()))
    kinds, dimensions = _ARRAYS[name]
    if kind not in kinds or len(shape) != dimensions:
        raise ValueError(f"{name} is {kind} {shape}, expected {kinds[0]} of {dimensions} axes")
    dtype = np.dtype(kind)
    size_bytes = math.prod(shape) * dtype.itemsize
    data = content[header.end() :]
    if size_bytes != len(data):
        raise ValueError(f"{name} of shape {shape} takes {size_bytes} bytes, has {len(data)}")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if by_columns else "C")
