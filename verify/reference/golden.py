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
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
from minilm.runtime.errors import InvalidArtifact
from minilm.verify.reference.base import Reference, Vectors
from minilm.verify.reference.corpus import Sample, build_corpus
from minilm.verify.tokenizer import token_counter

__all__ = ["GOLDEN_NAME", "GoldenReference", "write_golden"]

GOLDEN_NAME: Final = "golden.npz"
FORMAT: Final = 1

_NAMES: Final = (
    "format",
    "texts",
    "text_ends",
    "categories",
    "vectors",
    "ids",
    "id_ends",
    "max_tokens",
    "weights_sha256",
)
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)

Arrays = dict[str, npt.NDArray[Any]]
Pieces = TypeVar("Pieces", bytes, list[int])


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
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(_pack(arrays))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise InvalidArtifact(f"{path} is inconsistent: {error}") from error
        self.name = f"{GOLDEN_NAME} of the bundle (the original's vectors, recorded by the build)"

    def _fill(self, arrays: Arrays) -> None:
        if int(arrays["format"]) != FORMAT:
            raise ValueError(f"format {int(arrays['format'])}, this version reads {FORMAT}")
        self.max_tokens = int(arrays["max_tokens"])
        self.weights_sha256 = arrays["weights_sha256"].astype(np.uint8).tobytes().hex()
        blob = arrays["texts"].astype(np.uint8).tobytes()
        texts = [part.decode("utf-8") for part in _split(blob, arrays["text_ends"])]
        categories = json.loads(arrays["categories"].astype(np.uint8).tobytes())
        vectors = arrays["vectors"]
        ids = _split(arrays["ids"].tolist(), arrays["id_ends"])
        if not len(texts) == len(categories) == len(vectors) == len(ids) or vectors.ndim != 2:
            raise ValueError(
                f"{len(texts)} texts, {len(categories)} categories, {len(ids)} token lists and "
                f"vectors of shape {vectors.shape}"
            )
        pairs = zip(texts, categories, strict=True)
        self.corpus = tuple(Sample(text=t, category=str(c)) for t, c in pairs)
        self._vectors = vectors.astype(np.float32)
        self._ids = [[int(i) for i in row] for row in ids]
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
        return [self._ids[self._places[text]] for text in texts]


def _split(whole: Pieces, ends: npt.NDArray[Any]) -> list[Pieces]:
    edges = [0, *map(int, ends)]
    if edges != sorted(edges) or edges[-1] != len(whole):
        raise ValueError(f"pieces end at {edges[-1]} of {len(whole)}")
    return [whole[a:b] for a, b in itertools.pairwise(edges)]


def _pack(arrays: Arrays) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in _NAMES:
            member = io.BytesIO()
            np.lib.format.write_array(member, arrays[name], version=(1, 0), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=_EPOCH)
            info.create_system = 3  # else it tells the system that wrote it
            archive.writestr(info, member.getvalue())
    return buffer.getvalue()


def _unpack(path: Path) -> Arrays:
    try:
        # Read whole: numpy leaves its file open where the content is no zip.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            return {name: archive[name] for name in _NAMES}
    except FileNotFoundError as error:
        raise InvalidArtifact(
            f"{path} does not exist: without it and without PyTorch there is nothing to compare "
            'with; pip install "minilm-toolkit[build]", or build the bundle again'
        ) from error
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidArtifact(f"cannot read {path}: {type(error).__name__}: {error}") from error
