"""What is done to a bundle, and what is said of it."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from minilm.runtime import load
from minilm.runtime.errors import InvalidArtifact, UsageError
from minilm.runtime.integrity import check
from minilm.runtime.manifest import FileEntry, Manifest, read

_GRAPH = "onnx/model.onnx"


def _alter(bundle: Path, name: str = _GRAPH) -> None:
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)


def _truncate(bundle: Path) -> None:
    os.truncate(bundle / _GRAPH, 1000)


def _lengthen(bundle: Path) -> None:
    with (bundle / _GRAPH).open("ab") as stream:
        stream.write(b"x")


def _link(bundle: Path) -> None:
    (bundle / _GRAPH).rename(bundle.parent / "elsewhere.onnx")
    (bundle / _GRAPH).symlink_to(bundle.parent / "elsewhere.onnx")


def _link_folder(bundle: Path) -> None:
    (bundle / "onnx").rename(bundle.parent / "onnx")
    (bundle / "onnx").symlink_to(bundle.parent / "onnx", target_is_directory=True)


def _put_a_pipe(bundle: Path) -> None:
    os.mkfifo(bundle / "pipe")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_alter, "onnx/model.onnx was altered: its SHA-256 is "),
        (_truncate, "onnx/model.onnx is truncated: 1000 bytes, the manifest says "),
        (_lengthen, "onnx/model.onnx is longer than built: "),
        (lambda bundle: (bundle / _GRAPH).unlink(), "onnx/model.onnx is missing from "),
        (
            lambda bundle: (bundle / "onnx/more.bin").write_bytes(b""),
            "onnx/more.bin stands in {bundle} but not in its manifest.json: remove it, or build ",
        ),
        (_link, "onnx/model.onnx in {bundle} is a symbolic link: a bundle has none"),
        (_link_folder, "onnx in {bundle} is a symbolic link: a bundle has none"),
        (_put_a_pipe, "pipe in {bundle} is neither a file nor a directory"),
    ],
)
def test_harm_is_named(harm: Callable[[Path], object], message: str, tiny_copy: Path) -> None:
    manifest = read(tiny_copy)
    harm(tiny_copy)
    expected = "^" + re.escape(message.format(bundle=tiny_copy))
    with pytest.raises(InvalidArtifact, match=expected) as caught:
        check(tiny_copy, manifest)
    assert caught.value.exit_code == 3
    with pytest.raises(InvalidArtifact, match=expected):
        load(tiny_copy, target="cpu", precision="fp32")


def test_an_intact_bundle_passes(tiny_bundle: Path) -> None:
    for level in ("full", "sizes", "none"):
        check(tiny_bundle, read(tiny_bundle), level)


def test_reports_are_not_covered(tiny_copy: Path) -> None:
    (tiny_copy / "report").mkdir(exist_ok=True)
    (tiny_copy / "report" / "notes.txt").write_text("mine")
    check(tiny_copy, read(tiny_copy))


def test_a_linked_bundle_is_fine_and_a_linked_report_is_not(
    tiny_copy: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tiny_copy, target_is_directory=True)
    check(tmp_path / "link", read(tiny_copy))
    (tmp_path / "elsewhere").mkdir()
    (tiny_copy / "report").rename(tmp_path / "old") if (tiny_copy / "report").exists() else None
    (tiny_copy / "report").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(InvalidArtifact, match=r"^report in .* is a symbolic link"):
        check(tiny_copy, read(tiny_copy))


def test_levels_look_as_far_as_they_say(tiny_copy: Path) -> None:
    manifest = read(tiny_copy)
    _alter(tiny_copy)
    check(tiny_copy, manifest, "sizes")
    (tiny_copy / "unlisted").write_text("")
    with pytest.raises(InvalidArtifact, match=r"^unlisted stands in"):
        check(tiny_copy, manifest, "sizes")
    check(tiny_copy, manifest, "none")


def test_skipped_files_are_not_hashed(tiny_copy: Path) -> None:
    _alter(tiny_copy)
    check(tiny_copy, read(tiny_copy), skip={_GRAPH})


def test_load_hashes_what_it_parses(tiny_copy: Path) -> None:
    _alter(tiny_copy, "tokenizer.json")
    with pytest.raises(InvalidArtifact, match=r"^tokenizer.json was altered"):
        load(tiny_copy)


def test_load_checks_before_it_parses(tiny_copy: Path) -> None:
    size = (tiny_copy / _GRAPH).stat().st_size
    (tiny_copy / _GRAPH).write_bytes(bytes(size))
    with pytest.raises(InvalidArtifact, match=r"^onnx/model.onnx was altered"):
        load(tiny_copy, target="cpu", precision="fp32")
    with pytest.raises(InvalidArtifact, match=r"^ONNX Runtime .* cannot read onnx/model.onnx"):
        load(tiny_copy, target="cpu", precision="fp32", verify="sizes")


def test_unknown_level(tiny_bundle: Path) -> None:
    message = "^unknown verify 'some': choose one of full, sizes, none$"
    with pytest.raises(UsageError, match=message):
        check(tiny_bundle, read(tiny_bundle), "some")
    with pytest.raises(UsageError, match=message):
        load(tiny_bundle, verify="some")  # type: ignore[arg-type]  # the point


def _with_path(manifest: Manifest, path: str) -> Manifest:
    entry = FileEntry(path=path, bytes=0, sha256="")
    return replace(manifest, files=(*manifest.files, entry))


@pytest.mark.parametrize(
    "path",
    [
        "../outside",
        "/etc/passwd",
        "onnx/../../outside",
        "",
        ".",
        "a//b",
        "./a",
        "a\\b",
        "C:/windows",
        "nul\0byte",
        "manifest.json",
    ],
)
@pytest.mark.parametrize("level", ["full", "none"])
def test_paths_stay_inside(path: str, level: str, tiny_bundle: Path) -> None:
    message = f"manifest.json lists {path!r}: not a path inside a bundle"
    with pytest.raises(InvalidArtifact, match=f"^{re.escape(message)}$"):
        check(tiny_bundle, _with_path(read(tiny_bundle), path), level)


def test_paths_are_listed_once(tiny_bundle: Path) -> None:
    with pytest.raises(InvalidArtifact, match=r"^manifest.json lists 'tokenizer.json' twice$"):
        check(tiny_bundle, _with_path(read(tiny_bundle), "tokenizer.json"))


def test_files_of_variants_are_listed(tiny_bundle: Path) -> None:
    manifest = read(tiny_bundle)
    fewer = tuple(entry for entry in manifest.files if entry.path != _GRAPH)
    message = "manifest.json does not list 'onnx/model.onnx', a file of variant cpu/fp32"
    with pytest.raises(InvalidArtifact, match=f"^{re.escape(message)}$"):
        check(tiny_bundle, replace(manifest, files=fewer), "none")
