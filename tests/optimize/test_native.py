"""The native encoder's weight file: near to the graph it was made from, and always the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from minilm.optimize import ExportedModel, build_variant, calibrate, unsupported_reason
from minilm.optimize.calibration.hadamard import hadamard
from minilm.optimize.ir_utils import linears
from minilm.optimize.passes.source_graph import simplified
from minilm.runtime.native.library import NativeEncoder
from minilm.verify.candidates.graph_session import open_session, pad_batch
from safetensors.numpy import load_file

NAME = "native/int8"
FILE = "native/model_int8.safetensors"


@pytest.fixture(scope="module")
def built(exported: ExportedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("native")
    build_variant(exported, NAME, folder, calibrate(exported))
    return folder


def test_vectors_are_the_graphs(exported: ExportedModel, built: Path) -> None:
    rows = [[2, 7, 9, 3], [2, *range(5, 60), 3], [2, 8, 3]]
    ids, mask = pad_batch(rows)
    expected = open_session(exported.graph).run(ids, mask)["sentence_embedding"]
    found = open_session(built / FILE).run(ids, mask)["sentence_embedding"]
    assert (found * expected).sum(axis=1).min() > 0.999


def test_two_builds_give_the_same_bytes(
    exported: ExportedModel, built: Path, tmp_path: Path
) -> None:
    build_variant(exported, NAME, tmp_path, calibrate(exported))
    assert (tmp_path / FILE).read_bytes() == (built / FILE).read_bytes()


def test_weights_are_rotated(exported: ExportedModel, built: Path) -> None:
    """Inputs by blocks of the width; values and what reads them by blocks within a head."""
    tensors = load_file(built / FILE)
    width, head = exported.config.dimension, exported.config.dimension // exported.config.heads
    inputs, heads = hadamard(width), np.kron(np.eye(exported.config.heads), hadamard(head))
    for linear in linears(simplified(exported).graph):
        stored = tensors[f"{linear.name}.weight"].T * tensors[f"{linear.name}.scale"]
        weight = linear.weight.astype(np.float64)
        if linear.name.endswith("attention.output.dense"):
            expected = heads @ weight
        elif len(weight) == width:
            expected = inputs @ weight
        else:
            expected = hadamard(len(weight)) @ weight
        if linear.name.endswith("attention.self.value"):
            expected = expected @ heads
        error = np.abs(stored - expected).max() / np.abs(expected).max()
        assert error < 0.1, linear.name


def test_file_opens_with_the_architecture(exported: ExportedModel, built: Path) -> None:
    encoder = NativeEncoder((built / FILE).read_bytes())
    assert (encoder.dimension, encoder.max_tokens) == (
        exported.config.dimension,
        exported.config.max_tokens,
    )


def test_narrow_heads_are_left_out_with_the_reason(exported: ExportedModel) -> None:
    assert unsupported_reason(exported, NAME) is None
    narrow = replace(exported, config=replace(exported.config, heads=4))
    assert unsupported_reason(narrow, NAME) == (
        "its attention heads have 8 elements, and the native encoder computes multiples of 16"
    )
    assert unsupported_reason(narrow, "cpu/int8") is None
