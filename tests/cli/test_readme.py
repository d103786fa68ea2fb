"""What README.md shows works as printed."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from minilm.cli import failures
from minilm.runtime import errors
from minilm.runtime.manifest import read

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str, containing: str) -> str:
    blocks: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return next(text for text in blocks if containing in text)


@pytest.fixture(scope="module")
def project(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory as `make build` leaves it."""
    directory = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "README.md", directory)
    (directory / "artifacts").mkdir()
    (directory / "artifacts/all-MiniLM-L6-v2").symlink_to(bundle, target_is_directory=True)
    return directory


def run(command: list[str], project: Path, *, progress: str = "") -> str:
    bin_directory = Path(sys.executable).parent
    result = subprocess.run(
        command,
        cwd=project,
        env={**os.environ, "PATH": f"{bin_directory}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    expected = rf"{progress}|note: README\.md: \d+ blank lines became empty texts"
    said = [line for line in result.stderr.splitlines() if not re.fullmatch(expected, line)]
    assert (result.returncode, said) == (0, []), result.stderr
    return result.stdout


def test_the_first_commands_are_build_and_test() -> None:
    first = re.search(r"^```sh\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    assert first is not None
    lines = first[1].splitlines()
    assert [line.split("#")[0].strip() for line in lines] == ["make build", "make test"]


@pytest.mark.parametrize(
    "line",
    # `toolkit verify` has tests of its own, and takes as long as all of these.
    [each for each in block("sh", "toolkit embed").splitlines() if " verify " not in each],
)
def test_each_command_of_the_quickstart_works(line: str, project: Path) -> None:
    run(
        ["sh", "-c", line], project, progress="(checking|comparing) .*" if "compare" in line else ""
    )


def test_the_python_of_the_quickstart_works(project: Path) -> None:
    out = run([sys.executable, "-c", block("python", "load(")], project)
    assert "/" in out.splitlines()[0]


def test_every_exit_code_is_listed() -> None:
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    raised = {getattr(errors, name).exit_code for name in errors.__all__}
    own = {getattr(failures, name) for name in failures.__all__ if name.isupper()}
    terminated = {128 + signal.SIGTERM, 128 + signal.SIGHUP}
    assert listed == {0} | raised | own | terminated


def test_digests_are_those_of_a_build(bundle: Path) -> None:
    """The same on every x86-64 processor, or the build depends on it."""
    manifest = read(bundle)
    files = {entry.path: entry.sha256 for entry in manifest.files}
    rows = re.findall(r"^\| `([a-z]+/[a-z0-9]+)`.*\| `([0-9a-f]{12})` \|$", README, re.MULTILINE)
    # OpenVINO's weights come after the graph.
    built = [(each.name, files[each.files[-1]][:12]) for each in manifest.variants]
    assert sorted(rows) == sorted(built)
