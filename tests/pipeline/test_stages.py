"""Stages: reuse by content, and a failure that names its place."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from minilm.pipeline.cache import Cache, default_directory
from minilm.pipeline.stages import Stages
from minilm.runtime.errors import BuildFailed, InvalidArtifact, SourceError


@pytest.fixture
def work(tmp_path: Path) -> Path:
    path = tmp_path / "work"
    path.mkdir()
    return path


@pytest.fixture
def stages(tmp_path: Path, work: Path) -> Callable[..., Stages]:
    def make(*, fresh: bool = False) -> Stages:
        return Stages(
            work=work, cache=Cache(tmp_path / "cache"), fresh=fresh, on_progress=lambda _: None
        )

    return make


def write(work: Path, content: str) -> Callable[[], dict[str, Any]]:
    def run() -> dict[str, Any]:
        (work / "a").mkdir(exist_ok=True)
        (work / "a/graph").write_text(content, encoding="utf-8")
        return {"files": ["a/graph"], "note": content}

    return run


def test_same_key_is_reused(stages: Callable[..., Stages], work: Path) -> None:
    stages().run("one", write(work, "first"), key={"weights": "x"})
    (work / "a/graph").unlink()
    again = stages()
    assert again.run("one", write(work, "second"), key={"weights": "x"})["note"] == "first"
    assert (work / "a/graph").read_text("utf-8") == "first"
    assert [stage.reused for stage in again.done] == [True]


@pytest.mark.parametrize("key", [{"weights": "y"}, None])
def test_other_key_or_none_runs(
    stages: Callable[..., Stages], work: Path, key: dict[str, str] | None
) -> None:
    stages().run("one", write(work, "first"), key={"weights": "x"})
    assert stages().run("one", write(work, "second"), key=key)["note"] == "second"


def test_fresh_runs_and_renews(stages: Callable[..., Stages], work: Path) -> None:
    stages().run("one", write(work, "first"), key=1)
    assert stages(fresh=True).run("one", write(work, "second"), key=1)["note"] == "second"
    assert stages().run("one", write(work, "third"), key=1)["note"] == "second"


def test_damaged_entry_counts_as_absent(
    stages: Callable[..., Stages], work: Path, tmp_path: Path
) -> None:
    stages().run("one", write(work, "first"), key=1)
    (entry,) = (tmp_path / "cache").glob("one-*/a/graph")
    entry.write_text("f1rst", encoding="utf-8")
    assert stages().run("one", write(work, "second"), key=1)["note"] == "second"


def test_old_entries_go(stages: Callable[..., Stages], work: Path, tmp_path: Path) -> None:
    for key in range(7):
        stages().run("one", write(work, "x"), key=key)
    assert len(list((tmp_path / "cache").glob("one-*"))) == 4


def test_failure_names_stage_and_those_before(stages: Callable[..., Stages], work: Path) -> None:
    def fail() -> dict[str, Any]:
        raise RuntimeError("kernel said no")

    run = stages()
    run.run("export", write(work, "x"))
    with pytest.raises(BuildFailed) as caught:
        run.run("cpu/int8", fail)
    assert str(caught.value) == (
        "stage cpu/int8 failed: RuntimeError: kernel said no (stages before it: export)"
    )


def test_full_disk_says_so(stages: Callable[..., Stages]) -> None:
    def fail() -> dict[str, Any]:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(BuildFailed, match=r"no space is left below .*: free some and build again"):
        stages().run("cpu/fp32", fail)


@pytest.mark.parametrize("kind", [SourceError, InvalidArtifact])
def test_other_errors_keep_their_exit_code(
    stages: Callable[..., Stages], kind: type[Exception]
) -> None:
    def fail() -> dict[str, Any]:
        raise kind("what is wrong")

    with pytest.raises(kind, match="what is wrong"):
        stages().run("export", fail)


def test_unwritable_cache_costs_no_result(work: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    run = Stages(
        work=work, cache=Cache(tmp_path / "file/cache"), fresh=False, on_progress=lambda _: None
    )
    assert run.run("one", write(work, "first"), key=1)["note"] == "first"


def test_default_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("MINILM_CACHE", raising=False)
    assert default_directory() == tmp_path / "minilm-toolkit"
    monkeypatch.setenv("MINILM_CACHE", str(tmp_path / "own"))
    assert default_directory() == tmp_path / "own"
