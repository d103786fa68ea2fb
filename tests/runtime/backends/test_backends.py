"""The two libraries that run graphs."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minilm.runtime import load
from minilm.runtime.backends import BACKEND_MODULES, BACKENDS, Session, SessionOptions
from minilm.runtime.backends.batch import TokenBatch
from minilm.runtime.errors import BackendUnavailable, InvalidArtifact, UsageError
from minilm.runtime.manifest import read

# Two rows of 4 and 3 tokens.
_BATCH = TokenBatch(
    np.array([2, 7, 9, 3, 2, 7, 3], dtype=np.int32), np.array([0, 4, 7], dtype=np.int32)
)
_OTHER = TokenBatch(
    np.array([2, 9, 9, 3, 2, 8, 3], dtype=np.int32), np.array([0, 4, 7], dtype=np.int32)
)


def _open(bundle: Path, name: str, **changed: bytes) -> Session:
    variant = read(bundle).variant(name)
    files = {path: (bundle / path).read_bytes() for path in variant.files}
    files[variant.files[0]] = changed.get("graph", files[variant.files[0]])
    options = SessionOptions(threads=2, max_tokens=64)
    return BACKENDS[variant.backend].open_session(variant, files, options)


def test_both_give_the_same(tiny_bundle: Path) -> None:
    one, other = _open(tiny_bundle, "cpu/fp32"), _open(tiny_bundle, "openvino/bf16")
    assert one.run(_BATCH).shape == (2, 32)
    cosines = (one.run(_BATCH) * other.run(_BATCH)).sum(axis=1)
    assert cosines.min() > 0.999
    assert one.survives_fork
    assert not other.survives_fork


def test_each_variant_has_a_backend(tiny_bundle: Path) -> None:
    for variant in read(tiny_bundle).variants:
        backend = BACKENDS[variant.backend]
        assert backend.extra is None or backend.module in BACKEND_MODULES


def _widths(limit: int, session: Session) -> list[int]:
    """Tokens that each row of 1 to `limit` tokens costs, as its batches show."""
    budget = limit * 1000
    return [round(budget / session.rows_within(budget, [tokens])) for tokens in range(1, limit + 1)]


def test_onnxruntime_pads_to_nothing_and_openvino_to_few_widths(tiny_bundle: Path) -> None:
    assert _widths(64, _open(tiny_bundle, "cpu/fp32")) == list(range(1, 65))
    widths = _widths(64, _open(tiny_bundle, "openvino/bf16"))
    assert widths == [-(-tokens // 16) * 16 for tokens in range(1, 65)]


@pytest.mark.parametrize("limit", [64, 77, 256, 512, 700])
def test_the_limit_is_the_last_width(limit: int, tiny_bundle: Path) -> None:
    variant = read(tiny_bundle).variant("openvino/bf16")
    files = {path: (tiny_bundle / path).read_bytes() for path in variant.files}
    options = SessionOptions(threads=1, max_tokens=limit)
    widths = _widths(limit, BACKENDS["openvino"].open_session(variant, files, options))
    assert widths[-1] == limit
    assert widths[1] == 16


@pytest.mark.parametrize("name", ["cpu/fp32", "openvino/bf16"])
def test_results_do_not_share_memory(name: str, tiny_bundle: Path) -> None:
    session = _open(tiny_bundle, name)
    first = session.run(_BATCH)
    kept = first.copy()
    session.run(_OTHER)
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
    with pytest.raises(InvalidArtifact, match=r"cannot read onnx/model\.onnx: "):
        _open(tiny_bundle, "cpu/fp32", graph=graph)


@pytest.mark.parametrize("graph", [b"", b"not a graph", b"<net></net>"])
def test_openvino_on_what_is_no_graph(graph: bytes, tiny_bundle: Path) -> None:
    with pytest.raises(InvalidArtifact, match=r"^OpenVINO \S+ cannot read openvino/openvino_model"):
        _open(tiny_bundle, "openvino/bf16", graph=graph)


def test_a_provider_that_did_not_start(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime warns and goes on without a provider whose driver is missing."""
    import onnxruntime

    real = onnxruntime.InferenceSession

    def without_cuda(graph: bytes, options: object, providers: list[Any]) -> object:
        assert providers[0][0] == "CUDAExecutionProvider"
        return real(graph, options, providers=providers[1:])

    monkeypatch.setattr(onnxruntime, "InferenceSession", without_cuda)
    message = "cuda/fp16 was to run on CUDAExecutionProvider, and ONNX Runtime"
    with pytest.raises(BackendUnavailable, match=f"^{message}"):
        _open(tiny_bundle, "cuda/fp16")


@pytest.mark.parametrize(("opset", "domain"), [(99, ""), (18, "NotThere")])
def test_a_graph_that_is_too_new_for_onnxruntime(
    opset: int, domain: str, tiny_bundle: Path
) -> None:
    """The backend's age is told, with the line to run; the bundle is not blamed."""
    import onnx

    model = onnx.load(tiny_bundle / "onnx/model.onnx")
    if domain:
        model.ir_version = 99
    else:
        model.opset_import[0].version = opset
    message = r"^cpu/fp32 is newer than ONNX Runtime .*: pip install --upgrade .minilm-toolkit\[cpu"
    with pytest.raises(BackendUnavailable, match=message):
        _open(tiny_bundle, "cpu/fp32", graph=model.SerializeToString())


def test_the_table_imports_no_backend() -> None:
    code = "import sys; import minilm.runtime.backends; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "onnxruntime", "openvino"} & set(done.stdout.split())
