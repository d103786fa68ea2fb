"""Where a sentence-transformers directory keeps its parts, and that they are parts known here.

sentence-transformers imports whatever class `modules.json` names, from the model directory itself
if it is there. So the types are compared with an exact list, before any library is imported.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from minilm.convert.model_files import read_json
from minilm.runtime.errors import SourceError

__all__ = ["ModelLayout", "read_layout"]

_KINDS: Final = ("Transformer", "Pooling", "Normalize")
_NEW: Final = "sentence_transformers.sentence_transformer.modules"
_TYPES: Final[Mapping[str, str]] = {
    # As sentence-transformers up to 5.3 writes them, and still reads them.
    **{f"sentence_transformers.models.{kind}": kind for kind in _KINDS},
    # As 5.4 and later do.
    "sentence_transformers.base.modules.transformer.Transformer": "Transformer",
    f"{_NEW}.pooling.Pooling": "Pooling",
    f"{_NEW}.normalize.Normalize": "Normalize",
    **{f"{_NEW}.{kind}": kind for kind in _KINDS},
}
_FIELDS: Final = frozenset({"idx", "name", "path", "type", "kwargs"})


@dataclass(frozen=True, kw_only=True)
class ModelLayout:
    """The parts of a sentence-transformers directory.

    Attributes:
        transformer: Directory of `config.json`, the weights and the tokenizer.
        pooling: Directory of the pooling's `config.json`.
        normalized: Whether sentence vectors are scaled to unit length.
    """

    transformer: Path
    pooling: Path
    normalized: bool


def read_layout(directory: Path) -> ModelLayout:
    """Read `modules.json` of `directory`. Nothing is imported.

    Raises:
        SourceError: it is missing or not understood, or names a module that is not one of
            sentence-transformers' Transformer, Pooling and Normalize, in this order.
    """
    path = directory / "modules.json"
    modules = read_json(path)
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise SourceError(f"{path} is not a list of modules")
    kinds = [_kind(path, module) for module in modules]
    if kinds not in (list(_KINDS), list(_KINDS[:2])):
        raise SourceError(
            f"{path} lists {', '.join(kinds) or 'nothing'}; supported is {', '.join(_KINDS)}, the "
            "last one optional"
        )
    return ModelLayout(
        transformer=_folder(directory, modules[0], ""),
        pooling=_folder(directory, modules[1], "1_Pooling"),
        normalized=len(kinds) == len(_KINDS),
    )


def _kind(path: Path, module: dict[str, Any]) -> str:
    name = module.get("type")
    if not isinstance(name, str) or name not in _TYPES:
        raise SourceError(
            f"{path} names a module of type {name!r}: supported are sentence-transformers' own "
            f"{', '.join(_KINDS)}; other code is never run"
        )
    unknown = [field for field in module if field not in _FIELDS]
    if unknown or module.get("kwargs"):
        field = unknown[0] if unknown else "kwargs"
        raise SourceError(
            f"{path} sets {field} to {module[field]!r} for {name}: this setting is not supported"
        )
    return _TYPES[name]


def _folder(directory: Path, module: dict[str, Any], default: str) -> Path:
    path = module.get("path", default)
    pure = PurePosixPath(path) if isinstance(path, str) and "\0" not in path else None
    if pure is None or pure.is_absolute() or ".." in pure.parts or "\\" in path or ":" in path:
        raise SourceError(
            f"modules.json in {directory} has path {path!r}, expected a folder inside {directory}"
        )
    try:
        found = (directory / pure).is_dir()
    except OSError:  # a name that is too long
        found = False
    if not found:
        raise SourceError(f"modules.json in {directory} has path {path!r}: there is no such folder")
    return directory / pure
