"""A fake Hub on the loopback interface: snapshots of one repository, and uploads to it."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

__all__ = ["COMMIT", "UPLOADED", "Repository", "serving"]

COMMIT: Final = "0123456789abcdef0123456789abcdef01234567"
UPLOADED: Final = "89abcdef0123456789abcdef0123456789abcdef"

_LARGE_BYTES: Final = 100_000


class Repository:
    """Repository `name` with the files of a folder; uploads are written into it.

    Attributes:
        requests: Method and path of each request.
        token: Token that uploads need.
    """

    def __init__(self, folder: Path, name: str = "team/tiny", token: str = "secret") -> None:
        self.folder = folder
        self.name = name
        self.token = token
        self.requests: list[str] = []
        self.commits: list[list[str]] = []
        self.objects: dict[str, bytes] = {}


class _Handler(BaseHTTPRequestHandler):
    """The calls of the Hub's HTTP API that a snapshot and an upload need."""

    def __init__(self, repository: Repository, *args: Any) -> None:
        self._repository = repository
        super().__init__(*args)

    def do_HEAD(self) -> None:
        self._download(body=False)

    def do_GET(self) -> None:
        self._download(body=True)

    def do_PUT(self) -> None:
        data = self._body()
        self._repository.objects[hashlib.sha256(data).hexdigest()] = data
        self._send(b"")

    def do_POST(self) -> None:
        repository, path = self._repository, self._path()
        data = self._body()
        if self.headers.get("Authorization") != f"Bearer {repository.token}":
            self._send(b'{"error": "no permission"}', status=403)
        elif path == "api/repos/create":
            self._send_json({"url": f"http://{self.headers['Host']}/{repository.name}"})
        elif path == "api/validate-yaml":
            self._send_json({"warnings": [], "errors": []})
        elif path == f"api/models/{repository.name}/preupload/main":
            files = json.loads(data)["files"]
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["size"] > _LARGE_BYTES else "regular",
                    "shouldIgnore": False,
                }
                for file in files
            ]
            self._send_json({"files": modes})
        elif path == f"{repository.name}.git/info/lfs/objects/batch":
            url = f"http://{self.headers['Host']}/upload"
            objects = [
                {**each, "actions": {"upload": {"href": url, "header": {}}}}
                for each in json.loads(data)["objects"]
            ]
            self._send_json({"transfer": "basic", "objects": objects})
        elif path == f"api/models/{repository.name}/commit/main":
            self._commit([json.loads(line) for line in data.splitlines() if line])
        else:
            self.send_error(404)

    def log_message(self, *args: Any) -> None:
        pass

    def _commit(self, lines: list[dict[str, Any]]) -> None:
        written = []
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                content = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                content = self._repository.objects[value["oid"]]
            else:
                continue
            target = self._repository.folder / value["path"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            written.append(value["path"])
        self._repository.commits.append(written)
        url = f"http://{self.headers['Host']}/{self._repository.name}/commit/{UPLOADED}"
        self._send_json({"commitUrl": url, "commitOid": UPLOADED})

    def _download(self, *, body: bool) -> None:
        parts = self._path().split("/")
        name = self._repository.name.split("/")
        folder = self._repository.folder
        file = folder.joinpath(*parts[4:])
        if parts[:4] == ["api", "models", *name]:
            content = json.dumps(self._info()).encode()
        elif parts[:3] == [*name, "resolve"] and file.is_file():
            content = file.read_bytes()
        else:
            self.send_error(404)
            return
        self._send(content, body=body)

    def _info(self) -> dict[str, Any]:
        folder = self._repository.folder
        paths = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
        return {
            "id": self._repository.name,
            "sha": COMMIT,
            "private": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "siblings": [{"rfilename": path} for path in paths if (folder / path).is_file()],
        }

    def _path(self) -> str:
        path = self.path.split("?")[0].strip("/")
        self._repository.requests.append(f"{self.command} {path}")
        return path

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _send_json(self, document: object) -> None:
        self._send(json.dumps(document).encode())

    def _send(self, content: bytes, *, body: bool = True, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.end_headers()
        if body:
            self.wfile.write(content)


@contextmanager
def serving(repository: Repository) -> Iterator[str]:
    """Serve a repository; gives the Hub's address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, repository))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
