"""Hub ids: a fake Hub on the loopback interface, and no network at all."""

import hashlib
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Hub(BaseHTTPRequestHandler):
    """The two calls of the Hub's HTTP API that a snapshot needs: revision info, and a file."""

    def __init__(self, model: Path, *args: Any) -> None:
        self._model = model
        super().__init__(*args)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *args: Any) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[:4] == ["api", "models", "team", "tiny"]:
            content = json.dumps(self._info()).encode()
        elif parts[:3] == ["team", "tiny", "resolve"]:
            content = self._model.joinpath(*parts[4:]).read_bytes()
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.end_headers()
        if body:
            self.wfile.write(content)

    def _info(self) -> dict[str, Any]:
        paths = [
            p.relative_to(self._model).as_posix() for p in self._model.rglob("*") if p.is_file()
        ]
        return {
            "id": "team/tiny",
            "sha": COMMIT,
            "private": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "siblings": [{"rfilename": path} for path in paths],
        }


@pytest.fixture
def hub(tiny_model: Path) -> Iterator[str]:
    with serving(tiny_model) as endpoint:
        yield endpoint


@contextmanager
def serving(model: Path) -> Iterator[str]:
    """A Hub with one model; gives its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Hub, model))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


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
    with serving(model) as endpoint:
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
