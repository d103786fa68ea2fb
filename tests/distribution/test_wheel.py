"""Data wheels: the same bytes each time, and found by name where they are installed."""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from minilm.distribution import WheelOptions, build_wheel
from minilm.runtime import load
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.installed import find_bundle, is_name, normalized

from tests.support.cli import toolkit

WHEEL = "tiny_bert_int8-1.0-py3-none-any.whl"


@pytest.fixture
def verified(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the tiny bundle with the report of a verification that it passed."""
    copy = Path(shutil.copytree(tiny_bundle, tmp_path / "verified"))
    report(copy, passed=True)
    return copy


def report(bundle: Path, *, passed: bool) -> None:
    (bundle / "report").mkdir(exist_ok=True)
    (bundle / "report/report.json").write_text(json.dumps({"passed": passed}))


def installed(wheel: Path, target: Path) -> Path:
    command = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index")
    subprocess.run([*command, "--target", str(target), str(wheel)], check=True)
    return target


def test_wheel_has_the_same_bytes_each_time(verified: Path, tmp_path: Path) -> None:
    options = WheelOptions(bundle=verified, variants=["cpu/int8"], version="1.0")
    first, second = (build_wheel(options, tmp_path / name) for name in ("a", "b"))
    assert first.name == second.name == WHEEL
    assert first.read_bytes() == second.read_bytes()
    assert [path.name for path in (tmp_path / "a").iterdir()] == [WHEEL]


def test_wheel_holds_what_its_variants_need_and_a_right_record(
    verified: Path, tmp_path: Path
) -> None:
    options = WheelOptions(bundle=verified, variants=["cpu/int8"], version="1.0")
    wheel = build_wheel(options, tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        record = archive.read("tiny_bert_int8-1.0.dist-info/RECORD").decode().splitlines()
        contents = {name: archive.read(name) for name in names}
    graphs = [name for name in names if name.endswith((".onnx", ".bin", ".safetensors"))]
    assert graphs == ["tiny_bert_int8/bundle/onnx/model_int8.onnx"]
    bundled = "tiny_bert_int8/bundle/"
    files = [data for name, data in contents.items() if name.startswith(bundled)]
    assert wheel.stat().st_size - sum(map(len, files)) <= 100_000
    assert contents[f"{bundled}manifest.json"] == (verified / "manifest.json").read_bytes()
    rows = {name: (digest, size) for name, digest, size in (row.split(",") for row in record)}
    assert set(rows) == set(names)
    for name, (digest, size) in rows.items():
        if not name.endswith("RECORD"):
            hashed = base64.urlsafe_b64encode(hashlib.sha256(contents[name]).digest())
            assert (digest, int(size)) == (
                "sha256=" + hashed.decode().rstrip("="),
                len(contents[name]),
            )


@pytest.mark.parametrize("name", ["tiny-bert-int8", "Tiny_BERT.int8", "tiny-bert"])
def test_installed_wheel_is_found_by_name(
    name: str, verified: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = WheelOptions(bundle=verified, variants=["cpu/int8"], version="1.0")
    site = installed(build_wheel(options, tmp_path), tmp_path / "site")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.chdir(tmp_path)
    vectors = load(name, target="cpu", precision="int8").encode(["a text"])
    expected = load(verified, target="cpu", precision="int8").encode(["a text"])
    np.testing.assert_array_equal(vectors, expected)
    said = toolkit("embed", "a text", "-b", name, "--target", "cpu")
    assert (said.exit_code, said.stderr) == (0, "")
    assert "tiny_bert_int8" not in sys.modules


def test_model_in_two_packages_is_ambiguous(
    verified: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variant in ("cpu/int8", "cpu/fp32"):
        options = WheelOptions(bundle=verified, variants=[variant], version="1.0")
        installed(build_wheel(options, tmp_path), tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    said = toolkit("embed", "a text", "-b", "tiny-bert")
    assert said.exit_code == 2
    assert "name one of tiny-bert-fp32, tiny-bert-int8" in said.stderr


def test_package_without_its_files_is_named(
    verified: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = WheelOptions(bundle=verified, variants=["cpu/int8"], version="1.0")
    site = installed(build_wheel(options, tmp_path), tmp_path / "site")
    (site / "tiny_bert_int8/bundle/manifest.json").unlink()
    monkeypatch.syspath_prepend(str(site))
    with pytest.raises(InvalidArtifact, match="'tiny-bert-int8' has lost its files: install it ag"):
        find_bundle("tiny-bert-int8")


def test_name_that_is_not_installed_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidArtifact) as caught:
        load("no-such-bundle")
    assert str(caught.value) == (
        "no bundle at no-such-bundle: there is no such directory, and no installed package has a "
        "bundle of that name; `toolkit build` makes one, `toolkit package` a wheel of it"
    )
    assert caught.value.exit_code == 3


def test_directory_wins_over_a_package(
    verified: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(verified.parent)
    assert load("verified", target="cpu").options.path == verified


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--name", "no name"], 2, "--name: 'no name' is no name of a distribution: letters, dig"),
        (["--name", "-x"], 2, "--name: '-x' is no name of a distribution"),
        (["--version", "one"], 2, "--version: 'one' is no version: expected numbers with dots"),
        (["--variants", "cuda/fp32"], 2, "--variants: no variant 'cuda/fp32' (did you mean"),
        (["--variants", "openvino/bf16"], 2, "--variants: the bundle has no variant 'openvino/bf"),
    ],
)
def test_wrong_options_are_refused(
    arguments: Sequence[str], code: int, message: str, verified: Path, tmp_path: Path
) -> None:
    manifest = json.loads((verified / "manifest.json").read_text())
    manifest["variants"] = [v for v in manifest["variants"] if v["name"] != "openvino/bf16"]
    (verified / "manifest.json").write_text(json.dumps(manifest))
    said = toolkit("package", verified, "-o", tmp_path / "dist", *arguments)
    assert said.exit_code == code
    assert said.stderr.startswith(f"error: {message}")
    assert list((tmp_path / "dist").glob("*")) == []


def test_bundle_that_failed_is_not_packaged(verified: Path, tmp_path: Path) -> None:
    report(verified, passed=False)
    said = toolkit("package", verified, "-o", tmp_path / "dist")
    assert said.exit_code == 1
    assert said.stderr == f"error: {verified} failed its verification: see {verified / 'report'}\n"


def test_bundle_that_nobody_verified_needs_a_word(tiny_bundle: Path, tmp_path: Path) -> None:
    said = toolkit("package", tiny_bundle, "-o", tmp_path / "dist")
    assert said.exit_code == 3
    assert "has no report/report.json, so it was not verified" in said.stderr
    said = toolkit("package", tiny_bundle, "-o", tmp_path / "dist", "--unverified")
    assert said.exit_code == 0
    assert list((tmp_path / "dist").glob("*.whl")) != []


def test_report_that_is_none_is_refused(verified: Path, tmp_path: Path) -> None:
    (verified / "report/report.json").write_text("[]")
    said = toolkit("package", verified, "-o", tmp_path / "dist")
    assert said.exit_code == 3
    assert "report.json is no report of toolkit verify" in said.stderr


def test_altered_file_leaves_no_wheel(verified: Path, tmp_path: Path) -> None:
    data = bytearray((verified / "onnx/model_int8.onnx").read_bytes())
    data[100] ^= 1
    (verified / "onnx/model_int8.onnx").write_bytes(data)
    said = toolkit("package", verified, "-o", tmp_path / "dist", "--variants", "cpu/int8")
    assert said.exit_code == 3
    assert "onnx/model_int8.onnx was altered" in said.stderr
    assert list((tmp_path / "dist").iterdir()) == []


def test_extracted_files_load(verified: Path, tmp_path: Path) -> None:
    image = tmp_path / "image/bundle"
    options: list[str | Path] = [
        "package",
        verified,
        "--variants",
        "native/int8",
        "--extract-to",
        image,
    ]
    assert toolkit(*options).exit_code == 0
    assert not (image / "onnx").exists()
    assert load(image, target="native").encode("a text").shape == load(verified).encode("a").shape
    said = toolkit(*options)
    assert said.exit_code == 2
    assert said.stderr == f"error: --extract-to: {image} exists: give a new directory\n"


def test_names() -> None:
    assert normalized("All.MiniLM__L6-v2") == "all-minilm-l6-v2"
    assert is_name("all-MiniLM-L6-v2")
    assert not any(map(is_name, ("", "a/b", "../a", "a b", "-a", "a-", "ä")))
