"""Hub ids: a fake Hub on the loopback interface, and no network at all."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hub import Repository, serving


@pytest.fixture
def hub(tiny_model: Path) -> Iterator[str]:
    with serving(Repository(tiny_model)) as endpoint:
        yield endpoint


def run(model: str, endpoint: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Resolve in a process of its own: huggingface_hub reads its environment once."""
    code = (
        "import sys\n"
        "from minilm.convert import resolve\n"
        "from minilm.runtime.errors import SourceError\n"
        "try:\n"
        "    source = resolve(sys.argv[1])\n"
        "except SourceError as error:\n"
        "    sys.exit(f'{error.exit_code} {error}')\n"
        "print(source.id, source.revision, source.config.dimension)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code, model],
        env={"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_download(hub: str, tmp_path: Path) -> None:
    done = run("team/tiny", hub, tmp_path)
    assert done.stdout == "team/tiny None 32\n", done.stderr


def test_download_of_a_model_in_folders(tiny_model: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model / "0_Transformer")
    (model / "0_Transformer/1_Pooling").rename(model / "1_Pooling")
    modules = json.loads((model / "0_Transformer/modules.json").read_text("utf-8"))
    modules[0]["path"] = "0_Transformer"
    (model / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    with serving(Repository(model)) as endpoint:
        done = run("team/tiny", endpoint, tmp_path / "home")
    assert done.stdout == "team/tiny None 32\n", done.stderr


def test_revision(hub: str, tmp_path: Path) -> None:
    done = run("team/tiny@v2", hub, tmp_path)
    assert done.stdout == "team/tiny v2 32\n", done.stderr


def test_unknown_repository(hub: str, tmp_path: Path) -> None:
    done = run("team/other@v1", hub, tmp_path)
    assert done.returncode == 1
    assert "5 cannot download team/other at revision 'v1': the Hub refused" in done.stderr


def test_no_network(tmp_path: Path) -> None:
    # Port 9 of the loopback interface refuses at once.
    done = run("team/tiny", "http://127.0.0.1:9", tmp_path)
    assert done.returncode == 1
    assert (
        "5 cannot download team/tiny: the Hub is out of reach and nothing is cached" in done.stderr
    )
