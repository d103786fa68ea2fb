"""The pages of docs/: they build, their programs run, their commands and messages exist."""

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest
from minilm.cli.app import COMMANDS

from tests.support.native_library import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
SOURCES = ("bulk", "cli", "convert", "distribution", "optimize", "pipeline", "runtime", "verify")


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built strictly: a page that the navigation lacks, or a link to nowhere, is an error."""
    directory = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(directory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return directory


def test_reference_is_generated(site: Path) -> None:
    for name, content in (("gates", "batch-invariance"), ("exit-codes", "out of memory")):
        assert content in (site / "reference" / name / "index.html").read_text("utf-8")


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python") and "reference" not in page]
)
def test_programs_of_a_page_run(page: str, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts/all-MiniLM-L6-v2").symlink_to(bundle, target_is_directory=True)
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks(page, "python"))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    if page == "tutorial.md":
        assert "Invoices are sent on the first day of each month." in done.stdout


COMMAND_LINES = [
    (page, line)
    for page in PAGES
    for block in blocks(page, "sh")
    for line in block.splitlines()
    if line.startswith("toolkit ")
]


@pytest.fixture(scope="module")
def helps(site: Path) -> dict[str, str]:
    """Text of `--help` by command, from the generated page."""
    page = (site / "reference/command-line/index.html").read_text("utf-8")
    texts = re.findall(r"<code>(Usage: toolkit \w+ .*?)</code>", page, re.DOTALL)
    return {text.split()[2]: html.unescape(text) for text in texts}


def test_every_command_is_in_the_reference(helps: dict[str, str]) -> None:
    assert set(helps) == set(COMMANDS)


@pytest.mark.parametrize(("page", "line"), COMMAND_LINES)
def test_commands_and_their_options_exist(page: str, line: str, helps: dict[str, str]) -> None:
    options = re.findall(r"(?<=\s)--?[a-z][a-z-]*", line)
    text = helps[line.split()[1]]
    assert [option for option in options if not re.search(rf"{option}\b", text)] == [], page


def test_messages_of_troubleshooting_exist() -> None:
    """Each part of a quoted message stands in the sources, where a string may span lines."""
    sources = "".join(
        path.read_text("utf-8") for folder in SOURCES for path in (ROOT / folder).rglob("*.py")
    )
    sources = re.sub(r'"\s*\n\s*f?"', "", sources)
    headings = re.findall(
        r"^## (.*)$", (DOCS / "troubleshooting.md").read_text("utf-8"), re.MULTILINE
    )
    parts = [
        part.strip()
        for heading in headings
        for quoted in re.findall(r'"([^"]*)"', heading)
        for part in quoted.split("…")
    ]
    assert len(parts) > 12
    missing = [part for part in parts if part not in sources]
    assert missing == []
