"""Bundles to and from a fake Hub on the loopback interface, and no network at all."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from minilm.runtime import load
from minilm.runtime.errors import UsageError

from tests.support.hub import COMMIT, UPLOADED, Repository, serving

LOAD = """
import sys
from minilm.runtime import load
from minilm.runtime.errors import ToolkitError
try:
    encoder = load(sys.argv[1], target="cpu", precision="int8")
except ToolkitError as error:
    sys.exit(f"{error.exit_code} {error}")
print(encoder.why)
encoder.encode("a text").tofile(sys.argv[2])
"""


@pytest.fixture
def verified(tiny_bundle: Path, tmp_path: Path) -> Path:
    copy = Path(shutil.copytree(tiny_bundle, tmp_path / "verified"))
    (copy / "report").mkdir(exist_ok=True)
    (copy / "report/report.json").write_text(json.dumps({"passed": True}))
    return copy


def run(
    arguments: Sequence[str | Path], endpoint: str, home: Path, token: str = "secret"
) -> subprocess.CompletedProcess[str]:
    """In a process of its own: huggingface_hub reads its environment once."""
    settings = {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_TOKEN": token,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def toolkit(
    arguments: Sequence[str | Path], endpoint: str, home: Path, token: str = "secret"
) -> subprocess.CompletedProcess[str]:
    code = "import sys; from minilm.cli import main; sys.exit(main())"
    return run(["-c", code, *arguments], endpoint, home, token)


def test_load_downloads_what_one_variant_needs(verified: Path, tmp_path: Path) -> None:
    repository = Repository(verified)
    with serving(repository) as endpoint:
        done = run(["-c", LOAD, "hub:team/tiny@v1", tmp_path / "vector"], endpoint, tmp_path / "hf")
    assert done.returncode == 0, done.stderr
    assert f"From team/tiny on the Hub at commit {COMMIT[:12]} (v1)." in done.stdout
    expected = load(verified, target="cpu", precision="int8").encode("a text")
    np.testing.assert_array_equal(np.fromfile(tmp_path / "vector", np.float32), expected)
    downloaded = {path.name for path in (tmp_path / "hf").rglob("snapshots/*/**/*")} - {"onnx"}
    assert downloaded == {
        "manifest.json",
        "tokenizer.json",
        "config.json",
        "model_int8.onnx",
    }


def test_load_says_which_revision_it_took_and_works_again_without_a_network(
    verified: Path, tmp_path: Path
) -> None:
    arguments: list[str | Path] = ["-c", LOAD, "hub:team/tiny", tmp_path / "vector"]
    with serving(Repository(verified)) as endpoint:
        first = run(arguments, endpoint, tmp_path / "hf")
    assert "(the newest, since no revision was given)" in first.stdout, first.stderr
    again = run(arguments, "http://127.0.0.1:9", tmp_path / "hf")  # which refuses at once
    assert again.returncode == 0, again.stderr


def test_altered_download_is_refused(verified: Path, tmp_path: Path) -> None:
    data = bytearray((verified / "onnx/model_int8.onnx").read_bytes())
    data[1000] ^= 1
    (verified / "onnx/model_int8.onnx").write_bytes(data)
    with serving(Repository(verified)) as endpoint:
        done = run(["-c", LOAD, "hub:team/tiny", tmp_path / "vector"], endpoint, tmp_path / "hf")
    assert done.stderr.startswith("3 onnx/model_int8.onnx was altered")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("hub:team/other@v1", "5 cannot download team/other at revision 'v1': the Hub refused"),
        ("hub:team/tiny@v1", "5 cannot download team/tiny at revision 'v1': the Hub is out of"),
    ],
)
def test_hub_that_refuses_or_is_not_there(reference: str, message: str, tmp_path: Path) -> None:
    with serving(Repository(tmp_path)) as endpoint:
        where = endpoint if "other" in reference else "http://127.0.0.1:9"
        done = run(["-c", LOAD, reference, tmp_path / "vector"], where, tmp_path / "hf")
    assert done.stderr.startswith(message)


def test_repository_without_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/README.md").write_text("no bundle")
    with serving(Repository(tmp_path / "files")) as endpoint:
        done = run(["-c", LOAD, "hub:team/tiny", tmp_path / "vector"], endpoint, tmp_path / "hf")
    assert done.stderr.startswith("3 team/tiny on the Hub has no manifest.json")


@pytest.mark.parametrize(
    "reference", ["hub:", "hub:tiny", "hub:a/b/c", "hub:team/tiny@", "hub:a b/c"]
)
def test_reference_that_is_none(reference: str) -> None:
    with pytest.raises(UsageError, match="names no bundle on the Hub: expected hub:ORG/NAME or"):
        load(reference)


def test_push_uploads_the_bundle_in_one_commit(verified: Path, tmp_path: Path) -> None:
    (tmp_path / "remote").mkdir()
    (verified / "notes.txt").write_text("mine")
    repository = Repository(tmp_path / "remote")
    with serving(repository) as endpoint:
        done = toolkit(["push", "team/tiny", verified], endpoint, tmp_path / "hf")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"hub:team/tiny@{UPLOADED}\n"
    (commit,) = repository.commits
    manifest = json.loads((verified / "manifest.json").read_text())
    assert sorted(commit) == sorted(
        ["manifest.json", *(each["path"] for each in manifest["files"])]
    )
    for path in commit:
        assert (tmp_path / "remote" / path).read_bytes() == (verified / path).read_bytes()


@pytest.mark.parametrize(
    ("report", "code", "message"),
    [
        (None, 3, "has no report/report.json, so it was not verified"),
        ({"passed": False}, 1, "failed its verification"),
    ],
)
def test_push_refuses_what_did_not_pass(
    report: object, code: int, message: str, verified: Path, tmp_path: Path
) -> None:
    if report is None:
        shutil.rmtree(verified / "report")
    else:
        (verified / "report/report.json").write_text(json.dumps(report))
    repository = Repository(tmp_path)
    with serving(repository) as endpoint:
        done = toolkit(["push", "team/tiny", verified], endpoint, tmp_path / "hf")
    assert done.returncode == code
    assert message in done.stderr
    assert repository.requests == []


def test_push_without_permission(verified: Path, tmp_path: Path) -> None:
    with serving(Repository(tmp_path)) as endpoint:
        done = toolkit(["push", "team/tiny", verified], endpoint, tmp_path / "hf", token="another")
    assert done.returncode == 5
    assert "the Hub refused to take team/tiny (HTTP 403)" in done.stderr
    assert "HF_TOKEN" in done.stderr


@pytest.mark.parametrize("name", ["tiny", "a/b/c"])
def test_push_to_what_is_no_name(name: str, verified: Path, tmp_path: Path) -> None:
    done = toolkit(["push", name, verified], "http://127.0.0.1:9", tmp_path)
    assert done.returncode == 2
    assert f"{name!r} is no name on the Hub: expected ORG/NAME" in done.stderr
