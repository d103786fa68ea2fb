"""The HTML report in a real browser, where there is one."""

import json
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from minilm.verify import write_reports
from minilm.verify.reference import PyTorchReference

from tests.support.verifying import verify

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

# The browser's own errands, which no flag stops; by name, so that fonts.googleapis.com is none.
OWN_ERRANDS = frozenset(
    {
        "accounts.google.com",
        "clients2.google.com",
        "content-autofill.googleapis.com",
        "edgedl.me.gvt1.com",
        "optimizationguide-pa.googleapis.com",
        "redirector.gvt1.com",
        "update.googleapis.com",
    }
)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


def visit(page: Path, folder: Path, *flags: str) -> tuple[str, set[str]]:
    """Open a page; what the browser wrote, and the hosts that the page asked."""
    log = folder / "net.json"
    assert BROWSER is not None
    done = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--enable-logging=stderr",
            f"--user-data-dir={folder / 'profile'}",
            f"--log-net-log={log}",
            f"--screenshot={folder / 'page.png'}",
            *flags,
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    asked = {urlsplit(e["params"]["url"]) for e in events if "url" in e.get("params", {})}
    hosts = {url.hostname or "" for url in asked if url.scheme in {"http", "https", "ws", "wss"}}
    return done.stderr, hosts - OWN_ERRANDS


@pytest.mark.parametrize("flags", [("--window-size=390,844",), ("--force-dark-mode",)])
def test_no_console_message_and_no_request_leaves_the_page(
    flags: tuple[str, ...], tiny_bundle: Path, tiny_model: Path, tmp_path: Path
) -> None:
    report = verify(tiny_bundle, PyTorchReference(str(tiny_model)), variants=["cpu/fp32"])
    write_reports(report, tmp_path, formats=["html"])
    written, hosts = visit(tmp_path / "report.html", tmp_path, *flags)
    assert "CONSOLE" not in written
    assert hosts == set()
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_a_request_and_a_message_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text(
        '<link rel="stylesheet" href="https://fonts.googleapis.com/css">'
        "<script>console.error('bad')</script>",
        encoding="utf-8",
    )
    written, hosts = visit(page, tmp_path)
    assert "CONSOLE" in written
    assert hosts == {"fonts.googleapis.com"}
