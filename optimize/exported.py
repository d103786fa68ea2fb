"""The portable graph with the facts that passes need."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from minilm.runtime.errors import UsageError
from minilm.runtime.extras import require_extra
from minilm.runtime.manifest import EncoderConfig

__all__ = ["ExportedModel", "check_graph"]

_TENSORS: Final = ("input_ids", "attention_mask", "last_hidden_state", "sentence_embedding")


@dataclass(frozen=True, kw_only=True)
class ExportedModel:
    """The portable fp32 graph and the facts about its model that passes need.

    Attributes:
        graph: ONNX file as `minilm.convert.export` writes it.
        tokenizer: The model's `tokenizer.json`.
        config: Numbers of the encoder.
    """

    graph: Path
    tokenizer: Path
    config: EncoderConfig


def check_graph(path: Path) -> None:
    """Find out before the work starts whether `path` is a graph that can be optimized.

    Raises:
        BackendUnavailable: the extra `build` is not installed.
        UsageError: not an ONNX graph, or not one that `toolkit export` wrote.
    """
    with require_extra("build", "Reading a graph"):
        import onnx
        from google.protobuf.message import DecodeError
    hint = "give one that `toolkit export` wrote"
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except (DecodeError, OSError) as error:
        raise UsageError(
            f"{path} is not an ONNX graph ({error}): {hint}", option="GRAPH"
        ) from error
    found = {value.name for value in (*graph.input, *graph.output)}
    if missing := [name for name in _TENSORS if name not in found]:
        raise UsageError(f"{path} has no {', '.join(missing)}: {hint}", option="GRAPH")
