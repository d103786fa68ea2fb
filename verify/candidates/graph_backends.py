"""A graph as its library runs it on the CPU: ONNX Runtime, OpenVINO."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from minilm.runtime.errors import BackendUnavailable, InvalidArtifact

__all__ = ["GraphBackend", "GraphInput", "OnnxBackend", "OpenVinoBackend", "Outputs"]

Array = npt.NDArray[Any]
Outputs = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class GraphInput:
    """Type and shape of an input; None for a dynamic axis."""

    dtype: str
    shape: tuple[int | None, ...]


class GraphBackend(Protocol):
    """A graph as its library runs it, at the shapes that it has."""

    @property
    def inputs(self) -> Mapping[str, GraphInput]:
        """Inputs by name."""

    def run(self, feeds: Mapping[str, Array]) -> Outputs:
        """Outputs by name, float32."""

    def close(self) -> None:
        """Release the graph's memory."""


class OnnxBackend:
    """An ONNX file.

    Attributes:
        inputs: Inputs by name.
    """

    def __init__(self, path: Path, threads: int) -> None:
        """Open it.

        Raises:
            BackendUnavailable: ONNX Runtime is not installed.
            InvalidArtifact: ONNX Runtime cannot open it.
        """
        try:
            import onnxruntime as ort
        except ImportError as error:
            raise BackendUnavailable(
                f"{path.name} needs ONNX Runtime, which is not installed: "
                'pip install "minilm-toolkit[cpu]"'
            ) from error
        options = ort.SessionOptions()
        options.log_severity_level = 4  # errors come as exceptions
        options.intra_op_num_threads = threads
        # Threads that spin between two runs take the cores from the variant judged beside this.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        # ONNX Runtime's errors share no base but Exception.
        except Exception as error:
            raise InvalidArtifact(f"ONNX Runtime cannot open {path}: {error}") from error
        self.inputs: Mapping[str, GraphInput] = {
            item.name: GraphInput(
                dtype=item.type.removeprefix("tensor(").removesuffix(")"),
                shape=tuple(axis if isinstance(axis, int) else None for axis in item.shape),
            )
            for item in self._session.get_inputs()
        }
        self._names = [item.name for item in self._session.get_outputs()]

    def run(self, feeds: Mapping[str, Array]) -> Outputs:
        """Outputs by name, float32."""
        found = self._session.run(None, feeds)
        return {
            name: np.asarray(value, dtype=np.float32)
            for name, value in zip(self._names, found, strict=True)
        }

    def close(self) -> None:
        """Release the graph's memory."""
        del self._session


class OpenVinoBackend:
    """An OpenVINO IR.

    Attributes:
        inputs: Inputs by name.
    """

    def __init__(self, path: Path, threads: int) -> None:
        """Open it.

        Raises:
            BackendUnavailable: OpenVINO is not installed.
            InvalidArtifact: OpenVINO cannot open it.
        """
        try:
            import openvino as ov
        except ImportError as error:
            raise BackendUnavailable(
                f"{path.name} needs OpenVINO, which is not installed: "
                'pip install "minilm-toolkit[openvino]"'
            ) from error
        config = {"INFERENCE_NUM_THREADS": threads}
        try:
            self._model = ov.Core().compile_model(str(path), "CPU", config)
        except RuntimeError as error:
            raise InvalidArtifact(f"OpenVINO cannot open {path}: {error}") from error
        self.inputs: Mapping[str, GraphInput] = {
            port.get_any_name(): GraphInput(
                dtype=port.get_element_type().get_type_name(),
                shape=tuple(
                    None if axis.is_dynamic else axis.get_length()
                    for axis in port.get_partial_shape()
                ),
            )
            for port in self._model.inputs
        }
        self._request = self._model.create_infer_request()

    def run(self, feeds: Mapping[str, Array]) -> Outputs:
        """Outputs by name, float32."""
        found = self._request.infer(dict(feeds))
        return {
            port.get_any_name(): np.array(value, dtype=np.float32) for port, value in found.items()
        }

    def close(self) -> None:
        """Release the graph's memory."""
        del self._request, self._model
