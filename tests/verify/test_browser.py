"""The HTML report in a real browser, where there is one."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from minilm.verify import verify_bundle, write_reports

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


def test_no_console_message_and_no_request_leaves_the_page(
    tiny_bundle: Path, tiny_model: Path, tmp_path: Path
) -> None:
    report = verify_bundle(tiny_bundle, against=str(tiny_model), variants=["cpu/fp32"])
    write_reports(report, tmp_path, formats=["html"])
    page = (tmp_path / "report.html").as_uri()
    log = tmp_path / "net.json"
    assert BROWSER is not None
    done = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--enable-logging=stderr",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--log-net-log={log}",
            "--window-size=390,844",
            f"--screenshot={tmp_path / 'phone.png'}",
            page,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in done.stderr
    assert (tmp_path / "phone.png").stat().st_size > 10_000
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    asked = {e["params"]["url"] for e in events if "url" in e.get("params", {})}
    own = ("file:", "data:", "chrome:", "about:", "devtools:", "chrome-extension:")
    foreign = {url for url in asked if not url.startswith(own)}
    assert not {url for url in foreign if "google" not in url and "gvt1" not in url}
