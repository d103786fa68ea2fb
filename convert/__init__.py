"""PyTorch weights to one portable fp32 ONNX graph, pooling and L2 norm inside.

source = resolve(None)                 # where the weights are, checked
export(source, Path("model.onnx"))     # the graph, the same bytes for the same weights
"""

from minilm.convert.export import export
from minilm.convert.source import DEFAULT_MODEL, Source, resolve

__all__ = ["DEFAULT_MODEL", "Source", "export", "resolve"]
