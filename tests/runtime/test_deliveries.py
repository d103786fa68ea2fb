"""A bundle loads as people receive it; special files in its place are refused at once."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from minilm.runtime import Encoder, load
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.integrity import check
from minilm.runtime.manifest import read

Deliver = Callable[[Path, Path], Path]


def _files(bundle: Path) -> list[str]:
    return [p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()]


def _hub_cache(bundle: Path, to: Path) -> Path:
    """`models--org--name/snapshots/REVISION/file -> ../../blobs/HASH`."""
    blobs, snapshot = to / "models--o--n/blobs", to / "models--o--n/snapshots/abc"
    blobs.mkdir(parents=True)
    for name in _files(bundle):
        data = (bundle / name).read_bytes()
        blob = blobs / hashlib.sha256(data).hexdigest()
        blob.write_bytes(data)
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).symlink_to(os.path.relpath(blob, (snapshot / name).parent))
    return snapshot


def _local_dir(bundle: Path, to: Path) -> Path:
    """`huggingface_hub`'s local_dir: the files, and `.cache/` with a note of each."""
    copy = Path(shutil.copytree(bundle, to / "local"))
    for name in _files(bundle):
        note = copy / ".cache/huggingface/download" / f"{name}.metadata"
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text("abc\n")
    (copy / ".gitattributes").write_text("*.onnx filter=lfs\n")
    return copy


def _git_clone(bundle: Path, to: Path) -> Path:
    """A clone: `.git/`, with all that git keeps there."""
    copy = Path(shutil.copytree(bundle, to / "clone"))
    for name in ("HEAD", "hooks/pre-commit.sample", "objects/pack/x.pack"):
        (copy / ".git" / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / ".git" / name).write_bytes(b"x")
    (copy / ".gitattributes").write_text("*.onnx filter=lfs\n")
    return copy


def _crlf_checkout(bundle: Path, to: Path) -> Path:
    """A checkout on Windows: what looks like text has got "\\r\\n"."""
    copy = Path(shutil.copytree(bundle, to / "windows"))
    for name in _files(copy):
        data = (copy / name).read_bytes()
        if b"\0" not in data[:8000]:
            (copy / name).write_bytes(data.replace(b"\n", b"\r\n"))
    assert b"\r\n" in (copy / "tokenizer.json").read_bytes()
    assert b"\r\n" in (copy / "openvino/openvino_model.xml").read_bytes()
    return copy


def _kubernetes(bundle: Path, to: Path) -> Path:
    """A volume: `..data -> ..2026_07`, and each name at the top a link into `..data`."""
    volume = to / "volume"
    shutil.copytree(bundle, volume / "..2026_07")
    (volume / "..data").symlink_to("..2026_07")
    for entry in bundle.iterdir():
        (volume / entry.name).symlink_to(f"..data/{entry.name}")
    shutil.rmtree(volume / "..2026_07/report", ignore_errors=True)
    (volume / "report").unlink(missing_ok=True)
    return volume


def _nix_store(bundle: Path, to: Path) -> Path:
    """Each file a store path of its own, and a folder of absolute links to them."""
    store, profile = to / "store", to / "profile"
    store.mkdir()
    for number, name in enumerate(_files(bundle)):
        item = store / f"{number}-{Path(name).name}"
        shutil.copyfile(bundle / name, item)
        (profile / name).parent.mkdir(parents=True, exist_ok=True)
        (profile / name).symlink_to(item)
    return profile


def _bazel(bundle: Path, to: Path) -> Path:
    """Runfiles: absolute links, file by file, to the same paths of another tree."""
    execroot, runfiles = Path(shutil.copytree(bundle, to / "execroot/b")), to / "bin.runfiles/b"
    for name in _files(bundle):
        (runfiles / name).parent.mkdir(parents=True, exist_ok=True)
        (runfiles / name).symlink_to(execroot / name)
    return runfiles


def _litter(bundle: Path, to: Path) -> Path:
    """What a file manager, an editor and a person leave."""
    copy = Path(shutil.copytree(bundle, to / "litter"))
    for name in (".DS_Store", "onnx/.DS_Store", "Thumbs.db", "notes.txt", "._model.onnx"):
        (copy / name).write_bytes(b"x")
    (copy / ".ipynb_checkpoints").mkdir()
    (copy / ".ipynb_checkpoints/evil.py").write_text("1/0")
    return copy


_DELIVERIES = [
    _hub_cache, _local_dir, _git_clone, _crlf_checkout, _kubernetes, _nix_store, _bazel, _litter,
]  # fmt: skip


@pytest.mark.parametrize("deliver", _DELIVERIES, ids=lambda deliver: deliver.__name__[1:])
def test_a_delivery_loads_and_passes_the_check(
    deliver: Deliver, tiny_bundle: Path, tiny: Encoder, tmp_path: Path
) -> None:
    bundle = deliver(tiny_bundle, tmp_path)
    check(bundle, read(bundle))
    check(bundle, read(bundle), "sizes")
    for variant in ("cpu/fp32", "openvino/bf16"):
        target, precision = variant.split("/")
        with load(bundle, target=target, precision=precision) as encoder:
            np.testing.assert_allclose(encoder.encode("a"), tiny.encode("a"), atol=1e-2)


@pytest.mark.parametrize("deliver", _DELIVERIES, ids=lambda deliver: deliver.__name__[1:])
def test_an_altered_byte_of_a_delivery_is_found(
    deliver: Deliver, tiny_bundle: Path, tmp_path: Path
) -> None:
    bundle = deliver(tiny_bundle, tmp_path)
    manifest = read(bundle)
    for name in ("onnx/model.onnx", "tokenizer.json"):
        file = bundle / name
        kept = file.read_bytes()
        altered = bytearray(kept)
        altered[altered.rindex(b"a")] ^= 1
        file.write_bytes(altered)
        with pytest.raises(InvalidArtifact, match=f"^{name} was altered"):
            load(bundle, target="cpu", precision="fp32")
        with pytest.raises(InvalidArtifact, match=f"^{name} was altered"):
            check(bundle, manifest)
        file.write_bytes(kept)


@pytest.mark.parametrize("deliver", [_hub_cache, _nix_store, _bazel, _kubernetes])
def test_a_link_out_of_the_delivery_is_refused(
    deliver: Deliver, tiny_bundle: Path, tmp_path: Path
) -> None:
    bundle = deliver(tiny_bundle, tmp_path)
    elsewhere = tmp_path / "elsewhere" / "model.onnx"
    elsewhere.parent.mkdir()
    shutil.copyfile(bundle / "onnx/model.onnx", elsewhere)
    file = Path(os.path.realpath(bundle / "onnx")) / "model.onnx"
    file.unlink()
    file.symlink_to(elsewhere)
    message = r"^onnx/model.onnx in .* is a link to .*/elsewhere/model.onnx, which is not part of"
    with pytest.raises(InvalidArtifact, match=message):
        load(bundle, target="cpu", precision="fp32")
    with pytest.raises(InvalidArtifact, match=message):
        check(bundle, read(bundle))


def test_only_the_files_of_one_variant(tiny_bundle: Path, tiny: Encoder, tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    for name in ("manifest.json", "tokenizer.json", "onnx/model.onnx"):
        shutil.copyfile(tiny_bundle / name, tmp_path / name)
    with load(tmp_path, on_long="truncate") as encoder:
        assert encoder.variant.name == "cpu/fp32"
        others = [each.name for each in read(tiny_bundle).variants if each.name != "cpu/fp32"]
        assert f" This copy of the bundle came without {', '.join(others)}. " in encoder.why
        np.testing.assert_array_equal(encoder.encode("a"), tiny.encode("a"))
    with pytest.raises(InvalidArtifact) as caught:
        load(tmp_path, target="openvino", precision="int8")
    assert str(caught.value) == (
        "this copy of the bundle came without openvino/int8 (openvino/openvino_model_int8.xml, "
        "openvino/openvino_model_int8.bin); it has: cpu/fp32: fetch the bundle again from where "
        "it came"
    )
    with pytest.raises(InvalidArtifact, match=r"^1_Pooling/config.json is missing from "):
        check(tmp_path, read(tmp_path), variants=["cpu/fp32"])


def test_a_config_that_came_along_has_to_agree(tiny_copy: Path) -> None:
    path = tiny_copy / "manifest.json"
    text = path.read_text("utf-8")
    path.write_text(text.replace('"max_tokens": 64', '"max_tokens": 1000'), encoding="utf-8")
    with pytest.raises(InvalidArtifact, match=r"texts have up to 1000 tokens, config.json has pos"):
        load(tiny_copy, target="cpu")


def test_a_graph_of_another_dimension_than_the_manifest_says(tiny_copy: Path) -> None:
    (tiny_copy / "config.json").unlink()
    path = tiny_copy / "manifest.json"
    text = path.read_text("utf-8")
    path.write_text(text.replace('"dimension": 32', '"dimension": 31'), encoding="utf-8")
    with load(tiny_copy, target="cpu", precision="fp32") as encoder:
        message = "the graph gives vectors of 32 elements, the manifest says 31: build the bundle"
        with pytest.raises(InvalidArtifact, match=f"^{message}"):
            encoder.encode("a")


_SPECIAL = """
import os, resource, sys
from pathlib import Path
from minilm.runtime import load
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.integrity import check
from minilm.runtime.manifest import read
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
bundle = Path(sys.argv[1])
manifest = read(bundle)
for name in ("manifest.json", "tokenizer.json", "config.json", "onnx/model.onnx"):
    kept = bundle / ".kept"
    (bundle / name).rename(kept)
    for kind in ("pipe", "zero", "tty", "folder"):
        if kind == "pipe": os.mkfifo(bundle / name)
        if kind == "zero": (bundle / name).symlink_to("/dev/zero")
        if kind == "tty": (bundle / name).symlink_to("/dev/ptmx")
        if kind == "folder": (bundle / name).mkdir()
        for act in (
            lambda: load(bundle, target="cpu", precision="fp32"),
            lambda: load(bundle, target="cpu", precision="fp32", verify="none"),
            lambda: check(bundle, manifest),
        ):
            try:
                act()
                print(name, kind, "was taken")
            except InvalidArtifact as error:
                assert "regular file" in str(error) or "link to /dev" in str(error), error
        (bundle / name).rmdir() if kind == "folder" else (bundle / name).unlink()
    kept.rename(bundle / name)
load(bundle, target="cpu", precision="fp32")
with (bundle / "manifest.json").open("r+b") as stream:
    stream.truncate(1 << 34)
try:
    load(bundle)
except InvalidArtifact as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="these devices are Linux's")
def test_special_files_are_refused_at_once(tiny_copy: Path) -> None:
    command = [sys.executable, "-c", _SPECIAL, str(tiny_copy)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    manifest = tiny_copy / "manifest.json"
    # A check reads the files that the manifest lists, and not the manifest again.
    expected = [f"manifest.json {kind} was taken" for kind in ("pipe", "zero", "tty", "folder")]
    assert done.stdout.splitlines() == [
        *expected,
        f"{manifest} has {1 << 34} bytes, expected at most {1 << 24}",
    ], done.stderr


def test_a_file_that_shrinks_while_it_is_read_is_refused(tiny_copy: Path) -> None:
    data = json.loads((tiny_copy / "manifest.json").read_text("utf-8"))
    entry = next(entry for entry in data["files"] if entry["path"] == "tokenizer.json")
    entry["bytes"] += 1
    (tiny_copy / "manifest.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(InvalidArtifact, match=r"^tokenizer.json is truncated: "):
        load(tiny_copy, target="cpu")
