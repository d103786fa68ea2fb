"""Bundles on their way to where people need them."""

from minilm.distribution.hub import push
from minilm.distribution.wheel import WheelOptions, build_wheel, extract

__all__ = ["WheelOptions", "build_wheel", "extract", "push"]
