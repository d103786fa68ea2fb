"""The export itself: sentence-transformers' modules through optimum, then normalized."""

import logging
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from minilm.convert.source import Source
from minilm.runtime.errors import BuildFailed, SourceError, UsageError
from minilm.runtime.extras import require_extra

__all__ = ["export"]

_LINEAR: Final = re.compile(r"encoder\.layer\.\d+\.(attention\.self\.\w+|.*dense)\.weight")


def export(source: Source, destination: Path) -> Path:
    """Write the portable fp32 graph of `source` to `destination`.

    Inputs `input_ids` and `attention_mask` (int64, batch x tokens), outputs `last_hidden_state`
    (float32, batch x tokens x dimension) and `sentence_embedding` (float32, batch x dimension), in
    the default ONNX domain alone. The same weights give the same bytes.

    Raises:
        UsageError: `destination` is a directory, or in one that does not exist.
        BackendUnavailable: the extra `build` is not installed.
        SourceError: sentence-transformers cannot load the model.
        BuildFailed: the exported graph is not what the architecture promises.
    """
    _expect_writable(destination)
    with require_extra("build", "Converting a model"):
        import onnx_ir as ir
        from minilm.convert.normalize import normalize

    with tempfile.TemporaryDirectory(
        prefix=f".{destination.name}.", dir=destination.parent
    ) as scratch:
        with _quiet():
            _trace(source.directory, Path(scratch))
        model = ir.load(Path(scratch) / "model.onnx")
        # The tensors are mapped from the scratch file: they have to be read before it goes.
        for value in model.graph.initializers.values():
            if value.const_value is not None:
                value.const_value = ir.tensor(value.const_value.numpy().copy(), name=value.name)
        normalize(model, source.config.dimension)
        _expect_linears(model, 6 * source.config.layers)
        finished = Path(scratch) / "finished.onnx"
        ir.save(model, finished)
        finished.replace(destination)
    return destination


def _expect_writable(destination: Path) -> None:
    if destination.is_dir():
        raise UsageError(f"{destination} is a directory: name a file", option="--output")
    if not destination.parent.is_dir():
        raise UsageError(
            f"{destination}: there is no directory {destination.parent}", option="--output"
        )


def _trace(directory: Path, destination: Path) -> None:
    with require_extra("build", "Converting a model"):
        from optimum.exporters.onnx import onnx_export_from_model
        from sentence_transformers import SentenceTransformer
    try:
        # Eager attention is traced as the plain products that the fusions of `optimize` recognize.
        encoder = SentenceTransformer(
            str(directory),
            device="cpu",
            local_files_only=True,
            model_kwargs={"attn_implementation": "eager", "use_safetensors": True},
        )
    except MemoryError:
        raise
    # The libraries check few values of a directory, and fail with whatever comes of the others.
    except Exception as error:
        raise SourceError(
            f"sentence-transformers cannot load {directory}: {type(error).__name__}: {error}"
        ) from error
    onnx_export_from_model(encoder, destination, task="feature-extraction", do_validation=False)


def _expect_linears(model: Any, expected: int) -> None:
    found = sum(bool(_LINEAR.fullmatch(name)) for name in model.graph.initializers)
    if found != expected:
        raise BuildFailed(
            f"convert: the exported graph has {found} linear layers, the architecture {expected}"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the tracer says of control flow that is constant here out of the user's sight."""
    before = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)
