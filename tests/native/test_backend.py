"""The native encoder as a backend of the loader, and as verify reads its file."""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from minilm.runtime.backends import BACKENDS, Session, SessionOptions
from minilm.runtime.backends.batch import TokenBatch
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.hardware.host import Host
from minilm.runtime.manifest import TensorInfo, Variant
from minilm.runtime.native import LIBRARY_PATH
from minilm.verify.candidates.graph_info import can_read_graph, read_graph_info
from minilm.verify.candidates.graph_session import open_session, pad_batch

from tests.native.reference import Architecture, encode, random_tensors, weight_file
from tests.native.texts import packed, random_texts

FILE = "native/model_int8.safetensors"
HOST = Host(
    system="Linux",
    arch="x86_64",
    instruction_sets=(),
    cores=2,
    cores_reason="",
    backends={},
    providers=None,
)

pytestmark = pytest.mark.skipif(not LIBRARY_PATH.exists(), reason="there is no C++ compiler here")


@pytest.fixture(scope="module")
def variant() -> Variant:
    return Variant(
        name="native/int8",
        files=(FILE,),
        opset=1,
        inputs=(),
        outputs=(),
        operators={},
        backend="minilm-toolkit",
        backend_version="0.1.0",
        instruction_sets=(),
    )


def session_of(variant: Variant, content: bytes, threads: int = 2) -> Session:
    options = SessionOptions(threads=threads, max_tokens=32)
    return BACKENDS["minilm-toolkit"].open_session(variant, {FILE: content}, options)


def batch_of(texts: Sequence[Sequence[int]]) -> TokenBatch:
    ids, offsets = packed(texts)
    return TokenBatch(ids, offsets.astype(np.int32))


def test_session_gives_the_models_vectors(
    variant: Variant, small: Architecture, small_file: bytes
) -> None:
    session = session_of(variant, small_file)
    texts = random_texts((32, 20, 9, 1), small.vocab_size)
    expected = encode(small, random_tensors(small), texts)
    np.testing.assert_array_equal(session.run(batch_of(texts)), expected)
    with ThreadPoolExecutor(8) as pool:  # each of them alone or not, as it happens
        for vectors in pool.map(session.run, [batch_of(texts)] * 64):
            np.testing.assert_array_equal(vectors, expected)


def test_session_counts_tokens_without_padding(variant: Variant, small_file: bytes) -> None:
    session = session_of(variant, small_file, threads=3)
    assert session.rows_within(40, [32, 5, 3, 1]) == 3
    assert session.workers == 3
    assert session.survives_fork


def test_damaged_file_is_an_invalid_artifact(variant: Variant, small_file: bytes) -> None:
    with pytest.raises(InvalidArtifact, match="weight file"):
        session_of(variant, small_file[:-1])


def test_missing_library_makes_the_variant_unavailable(
    variant: Variant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    backend = BACKENDS["minilm-toolkit"]
    assert backend.unavailable_reason(variant, HOST) is None
    monkeypatch.setattr("minilm.runtime.native.LIBRARY_PATH", tmp_path / "none.so")
    assert backend.unavailable_reason(variant, HOST) == (
        "this installation has no compiled encoder: install minilm-toolkit from a wheel for this "
        "platform, or from source where there is a C++17 compiler"
    )


def test_choosing_imports_neither_numpy_nor_the_library() -> None:
    code = (
        "import sys, minilm.runtime.selection;"
        "late = ('numpy', 'minilm.runtime.native.library');"
        "print([name for name in late if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_graph_session_ignores_what_the_mask_hides(
    small: Architecture, small_file: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(small_file)
    texts = random_texts((3, 20, 9), small.vocab_size)
    session = open_session(path, threads=2)
    outputs = session.run(*pad_batch(texts, to=32))
    expected = encode(small, random_tensors(small), texts)
    np.testing.assert_array_equal(outputs["sentence_embedding"], expected)
    session.close()


def test_graph_info_counts_the_products(small_file: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(small_file)
    assert can_read_graph(path)
    info = read_graph_info(path)
    assert info.operators == {
        "Attention": 2,
        "Embedding": 1,
        "Gelu": 2,
        "LayerNormalization": 5,
        "LinearInt8": 12,
    }
    assert info.precisions.share("int8") == 1
    assert info.opset == 1
    assert info.outputs == (
        TensorInfo(name="sentence_embedding", dtype="float32", shape=("batch", 32)),
    )


def test_graph_info_names_a_product_that_is_not_int8(small: Architecture, tmp_path: Path) -> None:
    tensors = random_tensors(small)
    name = "encoder.layer.1.output.dense"
    tensors[f"{name}.weight"] = tensors[f"{name}.weight"].astype(np.float32)
    path = tmp_path / "model.safetensors"
    path.write_bytes(weight_file(small, tensors))
    info = read_graph_info(path)
    assert info.precisions.first_float == name
    assert info.operators["LinearInt8"] == 11


@pytest.mark.parametrize("content", [b"", b"\xff" * 20, b"\x02" + b"\0" * 7 + b"[]"])
def test_graph_info_refuses_what_is_no_weight_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(InvalidArtifact):
        read_graph_info(path)
    path.write_bytes(b"\x02" + b"\0" * 7 + b"{}")
    with pytest.raises(InvalidArtifact, match="not a weight file of the native encoder"):
        read_graph_info(path)


def test_graph_info_refuses_another_shape(small: Architecture, tmp_path: Path) -> None:
    tensors = random_tensors(small)
    name = "encoder.layer.0.intermediate.dense.weight"
    tensors[name] = tensors[name][:48].copy()
    path = tmp_path / "model.safetensors"
    path.write_bytes(weight_file(small, tensors))
    with pytest.raises(InvalidArtifact, match=rf"{name} is \[48, 32\], expected is \[64, 32\]"):
        read_graph_info(path)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT cannot be sent to one process")
def test_interrupt_ends_a_long_call_soon(bundle: Path) -> None:
    """The call would take minutes; the interrupt is heard between two batches."""
    program = (
        "import signal, sys\n"
        # A child of tests that run in the background of a shell would ignore the signal.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from minilm.runtime import load\n"
        "encoder = load(sys.argv[1], target='native', precision='int8', on_long='truncate')\n"
        "encoder.encode('a text')\n"
        "print('ready', flush=True)\n"
        "encoder.encode(['word ' * 254] * 20_000)\n"
        "print('done')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(bundle)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(1)  # into the middle of the call
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    assert output == ""
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert process.returncode in {130, -signal.SIGINT}
