"""What is done to a bundle, and what is said of it."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from minilm.runtime import load
from minilm.runtime.errors import InvalidArtifact, UsageError
from minilm.runtime.integrity import check
from minilm.runtime.manifest import read

_GRAPH = "onnx/model.onnx"


def _alter(bundle: Path, name: str = _GRAPH) -> None:
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)


def _leave_pointer(bundle: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 90300000\n"
    (bundle / "onnx/model.onnx").write_text(pointer)


def _truncate(bundle: Path) -> None:
    os.truncate(bundle / _GRAPH, 1000)


def _lengthen(bundle: Path) -> None:
    with (bundle / _GRAPH).open("ab") as stream:
        stream.write(b"x")


def _link_out(bundle: Path) -> None:
    (bundle / _GRAPH).rename(bundle.parent / "elsewhere.onnx")
    (bundle / _GRAPH).symlink_to(bundle.parent / "elsewhere.onnx")


def _link_folder_out(bundle: Path) -> None:
    (bundle / "onnx").rename(bundle.parent / "onnx")
    (bundle / "onnx").symlink_to(bundle.parent / "onnx", target_is_directory=True)


def _link_into_a_bundle_of_a_longer_name(bundle: Path) -> None:
    other = Path(shutil.copytree(bundle, f"{bundle}-other"))
    (bundle / _GRAPH).unlink()
    (bundle / _GRAPH).symlink_to(other / _GRAPH)


def _link_in_a_circle(bundle: Path) -> None:
    (bundle / _GRAPH).unlink()
    (bundle / _GRAPH).symlink_to("model.onnx")


def _put_a_pipe(bundle: Path) -> None:
    (bundle / _GRAPH).unlink()
    os.mkfifo(bundle / _GRAPH)


def _put_a_folder(bundle: Path) -> None:
    (bundle / _GRAPH).unlink()
    (bundle / _GRAPH).mkdir()


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_alter, "onnx/model.onnx was altered: its SHA-256 is "),
        (
            _leave_pointer,
            "onnx/model.onnx is a Git LFS pointer, not the file itself: run `git lfs pull`",
        ),
        (_truncate, "onnx/model.onnx is truncated: 1000 bytes, the manifest says "),
        (_lengthen, "onnx/model.onnx is longer than built: "),
        (_link_out, "onnx/model.onnx in {bundle} is a link to {bundle.parent}/elsewhere.onnx, "),
        (_link_folder_out, "onnx/model.onnx in {bundle} is a link to {bundle.parent}/onnx/model"),
        (_link_into_a_bundle_of_a_longer_name, "onnx/model.onnx in {bundle} is a link to "),
        (_link_in_a_circle, "cannot read {bundle}/onnx/model.onnx: "),
        (_put_a_pipe, "{bundle}/onnx/model.onnx is not a regular file: a directory, a pipe or a"),
        (_put_a_folder, "{bundle}/onnx/model.onnx is not a regular file: a directory, a pipe or a"),
    ],
)
def test_harm_to_a_file_that_is_read_is_named(
    harm: Callable[[Path], object], message: str, tiny_copy: Path
) -> None:
    manifest = read(tiny_copy)
    harm(tiny_copy)
    expected = "^" + re.escape(message.format(bundle=tiny_copy))
    with pytest.raises(InvalidArtifact, match=expected) as caught:
        check(tiny_copy, manifest)
    assert caught.value.exit_code == 3
    with pytest.raises(InvalidArtifact, match=expected):
        load(tiny_copy, target="cpu", precision="fp32")


@pytest.mark.parametrize(
    "name",
    ["onnx/more.onnx", "onnx/more.bin", "evil.py", "adapter_config.json", "unlisted", "weights.pt"],
)
def test_unlisted_files_that_a_runtime_may_read_are_refused_by_a_check_alone(
    name: str, tiny_copy: Path
) -> None:
    (tiny_copy / name).write_bytes(b"")
    message = (
        f"{name} stands in {tiny_copy} but not in its manifest.json: remove it, or build the bundle"
    )
    for level in ("full", "sizes"):
        with pytest.raises(InvalidArtifact, match=f"^{re.escape(message)}"):
            check(tiny_copy, read(tiny_copy), level)
    load(tiny_copy, target="cpu", precision="fp32").close()


def test_an_unlisted_pipe_or_link_is_refused_by_a_check(tiny_copy: Path, tmp_path: Path) -> None:
    os.mkfifo(tiny_copy / "pipe")
    with pytest.raises(InvalidArtifact, match=r"^pipe stands in "):
        check(tiny_copy, read(tiny_copy))
    (tiny_copy / "pipe").unlink()
    (tiny_copy / "link").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(InvalidArtifact, match=r"^link stands in "):
        check(tiny_copy, read(tiny_copy))


def test_what_people_and_tools_leave_is_named_or_passed_over(tiny_copy: Path) -> None:
    for name in (
        ".git/hooks/pre-commit.py", ".gitattributes", ".cache/huggingface/download/x.metadata",
        ".DS_Store", "onnx/.DS_Store", ".ipynb_checkpoints/x.py", "._model.onnx",
    ):  # fmt: skip
        (tiny_copy / name).parent.mkdir(parents=True, exist_ok=True)
        (tiny_copy / name).write_bytes(b"x")
    assert check(tiny_copy, read(tiny_copy)) == ()
    for name in ("Thumbs.db", "notes.txt", "onnx/desktop.ini", "plot.PNG"):
        (tiny_copy / name).write_bytes(b"x")
    left = ("Thumbs.db", "notes.txt", "onnx/desktop.ini", "plot.PNG")
    assert check(tiny_copy, read(tiny_copy)) == left


def test_a_file_that_is_missing(tiny_copy: Path) -> None:
    (tiny_copy / _GRAPH).unlink()
    with pytest.raises(InvalidArtifact, match=r"^onnx/model.onnx is missing from .*: build the"):
        check(tiny_copy, read(tiny_copy))
    check(tiny_copy, read(tiny_copy), variants=["cpu/int8"])
    with pytest.raises(InvalidArtifact, match=r"^onnx/model.onnx is missing"):
        check(tiny_copy, read(tiny_copy), variants=["cpu/fp32"])


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
    with pytest.raises(InvalidArtifact, match=r"^report stands in "):
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
    with pytest.raises(InvalidArtifact, match=r"^cannot read onnx/model.onnx: not an ONNX model"):
        load(tiny_copy, target="cpu", precision="fp32", verify="sizes")


def test_unknown_level(tiny_bundle: Path) -> None:
    message = "^unknown verify 'some': choose one of full, sizes, none$"
    with pytest.raises(UsageError, match=message):
        check(tiny_bundle, read(tiny_bundle), "some")
    with pytest.raises(UsageError, match=message):
        load(tiny_bundle, verify="some")  # type: ignore[arg-type]  # the point
