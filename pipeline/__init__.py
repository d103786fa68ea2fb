"""The stages in their order, from weights to a verified bundle that is swapped in whole."""

from minilm.pipeline.build import BuildOptions, BuildSummary, build
from minilm.pipeline.stages import StageResult

__all__ = ["BuildOptions", "BuildSummary", "StageResult", "build"]
