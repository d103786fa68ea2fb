"""Builds that are killed at any moment, and the build after them.

    MINILM_KILLS=20 python -m pytest tests/pipeline/test_kills.py

More kills fall on more moments; the few that always run keep the test short.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from minilm.pipeline import BuildOptions, build
from minilm.runtime.manifest import read

from tests.support.cli import RUN

KILLS = int(os.environ.get("MINILM_KILLS", "3"))


def contents(bundle: Path) -> dict[str, bytes]:
    """Every file of a bundle, which has to be the one that its manifest lists."""
    found = {
        path.relative_to(bundle).as_posix(): path.read_bytes()
        for path in bundle.rglob("*")
        if path.is_file()
    }
    assert found.keys() == {"manifest.json", *(file.path for file in read(bundle).files)}
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_builds_lose_nothing(
    tiny_model: Path, tiny_bundle: Path, tiny_cache: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out" / "tiny-bert"
    build(
        BuildOptions(
            model=str(tiny_model),
            output=tmp_path / "old",
            cache_dir=tiny_cache,
            variants=("cpu/fp32",),
            verify=False,
        )
    )
    old, new = contents(tmp_path / "old"), contents(tiny_bundle)
    assert old != new
    command = [sys.executable, "-c", RUN, "build", "--no-verify", "--model", str(tiny_model)]
    command += ["--output", str(output), "--cache-dir", str(tiny_cache)]
    start = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    duration = time.monotonic() - start
    assert contents(output) == new
    killed = 0
    for number in range(KILLS):
        shutil.rmtree(output)
        shutil.copytree(tmp_path / "old", output)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(duration * (number + 1) / (KILLS + 1))
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        assert contents(output) in (old, new)
    assert killed > 0
    subprocess.run(command, check=True, capture_output=True)
    assert contents(output) == new
    left = [path.name for path in output.parent.iterdir() if path.suffix != ".lock"]
    assert left == ["tiny-bert"]
