"""The places where a graph can run, each a module that follows `minilm.optimize.spec.Target`."""

from collections.abc import Mapping
from typing import Final

from minilm.optimize.spec import Target
from minilm.optimize.targets import cpu, cuda, openvino

__all__ = ["TARGETS"]

TARGETS: Final[Mapping[str, Target]] = {"cpu": cpu, "openvino": openvino, "cuda": cuda}
