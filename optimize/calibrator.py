"""The calibration of one model: the statistics that all int8 targets share."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from minilm.optimize.calibration.corpus import texts
from minilm.optimize.calibration.float64 import Feed
from minilm.optimize.calibration.statistics import (
    ActivationStatistics,
    collect_statistics,
    tokenize_calibration,
)
from minilm.optimize.exported import ExportedModel
from minilm.optimize.passes.source_graph import simplified

__all__ = ["Calibrator"]


class Calibrator:
    """Runs the model over the calibration texts when an int8 target first asks, and only then.

    Args:
        exported: The portable graph.
        corpus: Calibration texts; None for the project's own.
    """

    def __init__(self, exported: ExportedModel, corpus: Sequence[str] | None = None) -> None:
        self.exported = exported
        self.corpus = tuple(texts() if corpus is None else corpus)

    @cached_property
    def feeds(self) -> tuple[Feed, ...]:
        """The tokenized texts, one a run."""
        exported = self.exported
        return tokenize_calibration(exported.tokenizer, self.corpus, exported.config.max_tokens)

    @cached_property
    def statistics(self) -> Mapping[str, ActivationStatistics]:
        """Statistics of each linear layer's input, by the layer's name in the portable graph.

        Raises:
            BuildFailed: The graph gives NaN or infinity.
        """
        return collect_statistics(simplified(self.exported), self.feeds)
