"""Whether a model directory can be loaded without running code that it brings.

sentence-transformers imports the classes that `modules.json` names, from the directory itself if
they are there. `convert` has a check of its own: nothing is shared with it, by design.
"""

import json
from pathlib import Path
from typing import Any, Final

from minilm.runtime.errors import InvalidArtifact, SourceError
from minilm.runtime.reading import read_regular

__all__ = ["find_transformer"]

_PACKAGE: Final = "sentence_transformers"
_SAFE_TYPES: Final = frozenset(
    {
        f"{_PACKAGE}.models.Transformer",
        f"{_PACKAGE}.models.Pooling",
        f"{_PACKAGE}.models.Normalize",
        f"{_PACKAGE}.base.modules.transformer.Transformer",
        f"{_PACKAGE}.sentence_transformer.modules.Transformer",
        f"{_PACKAGE}.sentence_transformer.modules.Pooling",
        f"{_PACKAGE}.sentence_transformer.modules.Normalize",
        f"{_PACKAGE}.sentence_transformer.modules.pooling.Pooling",
        f"{_PACKAGE}.sentence_transformer.modules.normalize.Normalize",
    }
)
"""Classes whose files are data: others (Dense, Router) import what their own files name."""

_SAFE_ATTENTION: Final = (None, "eager", "sdpa")
_MOST_BYTES: Final = 1 << 28


def find_transformer(directory: Path) -> Path:
    """Check every file that could name code, and give the folder of the transformer's weights.

    Raises:
        SourceError: `modules.json` is not understood, or a file names code: a module type that is
            not sentence-transformers' Transformer, Pooling or Normalize, `auto_map`, an adapter,
            or arguments for the loaders. Or what stands there is no file.
    """
    _refuse_special_files(directory)
    path = directory / "modules.json"
    modules = _read(path)
    if not isinstance(modules, list) or not modules or not all(map(_is_module, modules)):
        raise SourceError(f"the reference's {path} is not a list of modules with type and path")
    for module in modules:
        if module["type"] not in _SAFE_TYPES:
            raise SourceError(
                f"the reference's {path} names a module of type {module['type']!r}: supported are "
                "sentence-transformers' own Transformer, Pooling, Normalize; other code is never "
                "run"
            )
        _refuse_special_files(directory / module["path"])
    transformer = directory / str(modules[0]["path"])
    if transformer.resolve() not in {
        directory.resolve(),
        *(path.resolve() for path in directory.iterdir()),
    }:
        raise SourceError(
            f"the reference's {path} has path {modules[0]['path']!r}: expected a folder in it"
        )
    _refuse_code(transformer)
    return transformer


def _refuse_special_files(folder: Path) -> None:
    """Refuse pipes and devices: a library that reads one would wait for ever, or fill memory."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.exists() and not path.is_file() and not path.is_dir():
            raise SourceError(
                f"the reference's {path} is a pipe, a device or a socket: put a file there"
            )


def _is_module(module: object) -> bool:
    return isinstance(module, dict) and all(
        isinstance(module.get(field), str) for field in ("type", "path")
    )


def _refuse_code(transformer: Path) -> None:
    if (transformer / "adapter_config.json").exists():
        raise SourceError(f"the reference {transformer} has an adapter: merge it first")
    for path in sorted(transformer.glob("*config.json")):
        settings = _read(path)
        if not isinstance(settings, dict):
            continue  # no file of a loader's: theirs are objects
        named = [
            name
            for name, value in settings.items()
            if (name == "auto_map" or name.endswith(("_args", "_kwargs"))) and value
        ]
        named += [
            name
            for name in ("attn_implementation", "_attn_implementation")
            if settings.get(name) not in _SAFE_ATTENTION
        ]
        if named:
            raise SourceError(
                f"the reference's {path} sets {named[0]} to {settings[named[0]]!r}, which can "
                "load code: not supported"
            )


def _read(path: Path) -> Any:
    try:
        return json.loads(read_regular(path, _MOST_BYTES).decode("utf-8"))
    except (InvalidArtifact, OSError, ValueError, RecursionError) as error:
        raise SourceError(f"cannot read the reference's {path}: {error}") from error
