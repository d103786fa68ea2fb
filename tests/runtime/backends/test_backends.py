"""The two libraries that run graphs."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minilm.runtime import load
from minilm.runtime.backends import onnxruntime as onnx_backend
from minilm.runtime.backends.openvino import OpenVinoOptions, open_session
from minilm.runtime.errors import BackendUnavailable, InvalidArtifact, UsageError
from minilm.runtime.manifest import Variant, read

_IDS = np.array([[2, 7, 9, 3], [2, 7, 3, 0]], dtype=np.int64)
_MASK = np.array([[1, 1, 1, 1], [1, 1, 1, 0]], dtype=np.int64)


def _openvino(bundle: Path) -> tuple[Variant, bytes, bytes]:
    variant = read(bundle).variant("openvino/bf16")
    graph, weights = ((bundle / name).read_bytes() for name in variant.files)
    return variant, graph, weights


def test_both_give_the_same(tiny_bundle: Path) -> None:
    variant = read(tiny_bundle).variant("cpu/fp32")
    one = onnx_backend.open_session(
        variant, (tiny_bundle / variant.files[0]).read_bytes(), threads=2
    )
    other = open_session(*_openvino(tiny_bundle), OpenVinoOptions(threads=2, max_tokens=64))
    assert one.run(_IDS, _MASK).shape == (2, 32)
    cosines = (one.run(_IDS, _MASK) * other.run(_IDS, _MASK)).sum(axis=1)
    assert cosines.min() > 0.999
    assert one.survives_fork
    assert not other.survives_fork


def test_onnxruntime_pads_to_nothing_and_openvino_to_few_widths(tiny_bundle: Path) -> None:
    options = OpenVinoOptions(threads=1, max_tokens=64)
    session = open_session(*_openvino(tiny_bundle), options)
    widths = [session.width(tokens) for tokens in range(2, 65)]
    assert widths == sorted(widths)
    assert widths[-1] == 64
    assert sorted(set(widths)) == [16, 32, 48, 64]
    assert all(width >= tokens for tokens, width in enumerate(widths, 2))


@pytest.mark.parametrize("limit", [64, 77, 256, 512, 700])
def test_the_limit_is_the_last_width(limit: int, tiny_bundle: Path) -> None:
    options = OpenVinoOptions(threads=1, max_tokens=limit)
    session = open_session(*_openvino(tiny_bundle), options)
    assert session.width(limit) == limit
    assert session.width(2) == 16


def test_results_do_not_share_memory(tiny_bundle: Path) -> None:
    session = open_session(*_openvino(tiny_bundle), OpenVinoOptions(threads=1, max_tokens=64))
    first = session.run(_IDS, _MASK)
    kept = first.copy()
    session.run(_IDS[:, ::-1].copy(), _MASK)
    np.testing.assert_array_equal(first, kept)


def test_cache_dir(tiny_bundle: Path, tmp_path: Path) -> None:
    cache = tmp_path / "made" / "cache"
    with load(tiny_bundle, target="openvino", cache_dir=cache) as encoder:
        expected = encoder.encode("cached")
    assert any(cache.iterdir())
    with load(tiny_bundle, target="openvino", cache_dir=str(cache)) as encoder:
        np.testing.assert_allclose(encoder.encode("cached"), expected, atol=1e-6)


def test_a_cache_dir_that_is_a_file(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    message = f"cache_dir {tmp_path / 'file'} cannot be used: "
    with pytest.raises(UsageError, match=f"^{re.escape(message)}"):
        load(tiny_bundle, target="openvino", cache_dir=tmp_path / "file")


@pytest.mark.parametrize("graph", [b"", b"not a graph", b"\x08\x07"])
def test_onnxruntime_on_what_is_no_graph(graph: bytes, tiny_bundle: Path) -> None:
    variant = read(tiny_bundle).variant("cpu/fp32")
    with pytest.raises(InvalidArtifact, match=r"^ONNX Runtime \S+ cannot read onnx/model\.onnx: "):
        onnx_backend.open_session(variant, graph, threads=1)


@pytest.mark.parametrize("graph", [b"", b"not a graph", b"<net></net>"])
def test_openvino_on_what_is_no_graph(graph: bytes, tiny_bundle: Path) -> None:
    variant, _, weights = _openvino(tiny_bundle)
    options = OpenVinoOptions(threads=1, max_tokens=64)
    with pytest.raises(InvalidArtifact, match=r"^OpenVINO \S+ cannot read openvino/openvino_model"):
        open_session(variant, graph, weights, options)


def test_a_provider_that_did_not_start(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime warns and goes on without a provider whose driver is missing."""
    import onnxruntime

    real = onnxruntime.InferenceSession

    def without_cuda(graph: bytes, options: object, providers: list[Any]) -> object:
        assert providers[0][0] == "CUDAExecutionProvider"
        return real(graph, options, providers=providers[1:])

    monkeypatch.setattr(onnxruntime, "InferenceSession", without_cuda)
    variant = read(tiny_bundle).variant("cuda/fp16")
    message = "cuda/fp16 was to run on CUDAExecutionProvider, and ONNX Runtime"
    with pytest.raises(BackendUnavailable, match=f"^{message}"):
        onnx_backend.open_session(variant, (tiny_bundle / variant.files[0]).read_bytes(), threads=1)
