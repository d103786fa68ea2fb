"""Stages: reuse by content, and a failure that names its place."""

import errno
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from minilm.pipeline.cache import Cache, default_directory, schema_of
from minilm.pipeline.output import StageOutput
from minilm.pipeline.stages import StageRunner
from minilm.runtime.errors import BuildFailed, InvalidArtifact, SourceError
from minilm.runtime.manifest import FileEntry, TensorInfo, Variant


@pytest.fixture
def work(tmp_path: Path) -> Path:
    path = tmp_path / "work"
    path.mkdir()
    return path


@pytest.fixture
def stages(tmp_path: Path, work: Path) -> Callable[..., StageRunner]:
    def make(*, fresh: bool = False) -> StageRunner:
        return StageRunner(
            work=work, cache=Cache(tmp_path / "cache"), fresh=fresh, on_progress=lambda _: None
        )

    return make


VARIANT = Variant(
    name="cpu/fp32",
    files=("a/graph",),
    opset=20,
    inputs=(TensorInfo(name="input_ids", dtype="int64", shape=("batch", "tokens")),),
    outputs=(TensorInfo(name="sentence_embedding", dtype="float32", shape=("batch", 32)),),
    operators={"MatMul": 1},
    backend="onnxruntime",
    backend_version="1.24",
    instruction_sets=("avx2",),
    float_layers=("pooler",),
)


def write(work: Path, content: str) -> Callable[[], StageOutput]:
    def run() -> StageOutput:
        (work / "a").mkdir(exist_ok=True)
        (work / "a/graph").write_text(content, encoding="utf-8")
        return StageOutput.of(work, ["a/graph"], replace(VARIANT, backend=content))

    return run


def content_of(output: StageOutput) -> str:
    assert output.variant is not None
    return output.variant.backend


def test_same_key_is_reused(stages: Callable[..., StageRunner], work: Path) -> None:
    stages().run_cached("one", write(work, "first"), key={"weights": "x"})
    (work / "a/graph").unlink()
    again = stages()
    assert (
        content_of(again.run_cached("one", write(work, "second"), key={"weights": "x"})) == "first"
    )
    assert (work / "a/graph").read_text("utf-8") == "first"
    assert [stage.reused for stage in again.done] == [True]


def test_other_key_runs(stages: Callable[..., StageRunner], work: Path) -> None:
    stages().run_cached("one", write(work, "first"), key={"weights": "x"})
    again = stages().run_cached("one", write(work, "second"), key={"weights": "y"})
    assert content_of(again) == "second"


def test_stage_without_key_always_runs(stages: Callable[..., StageRunner], work: Path) -> None:
    assert content_of(stages().run("one", write(work, "first"))) == "first"
    assert content_of(stages().run("one", write(work, "second"))) == "second"


def test_output_survives_the_cache_whole(stages: Callable[..., StageRunner], work: Path) -> None:
    made = stages().run_cached("one", write(work, "first"), key=1)
    assert made.files == (FileEntry(path="a/graph", bytes=5, sha256=sha256(b"first").hexdigest()),)
    assert stages().run_cached("one", write(work, "second"), key=1) == made


def test_entry_of_another_schema_is_not_read(
    stages: Callable[..., StageRunner], work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages().run_cached("one", write(work, "first"), key=1)
    monkeypatch.setattr("minilm.pipeline.cache.schema_of", lambda _: {"files": "other"})
    assert content_of(stages().run_cached("one", write(work, "second"), key=1)) == "second"


def test_schema_covers_fields_at_any_depth() -> None:
    @dataclass
    class Inner:
        a: int

    @dataclass
    class More:
        a: int
        b: str

    def schema(part: type) -> object:
        @dataclass
        class Outer:
            parts: tuple[part, ...] | None  # type: ignore[valid-type]  # made anew in each call

        return schema_of(Outer)

    assert schema(Inner) == schema(Inner)
    assert schema(Inner) != schema(More)
    assert "float_layers" in str(schema_of(StageOutput))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data["variant"].pop("float_layers"),
        lambda data: data["variant"].update(new_field=1),
        lambda data: data["variant"].update(name="tpu/int8"),
        lambda data: data["variant"].update(inputs=None),
        lambda data: data.pop("files"),
        lambda data: data.update(files=[{"path": "a/graph"}]),
        lambda data: data.update(files=None),
        lambda data: data["files"][0].update(path="a/missing"),
        lambda data: data["files"][0].update(path=7),
    ],
)
def test_entry_with_wrong_fields_counts_as_absent(
    stages: Callable[..., StageRunner],
    work: Path,
    tmp_path: Path,
    damage: Callable[[dict[str, Any]], object],
) -> None:
    stages().run_cached("one", write(work, "first"), key=1)
    (result,) = (tmp_path / "cache").glob("one-*/result.json")
    data = json.loads(result.read_text("utf-8"))
    damage(data)
    result.write_text(json.dumps(data), encoding="utf-8")
    assert content_of(stages().run_cached("one", write(work, "second"), key=1)) == "second"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", "[" * 100_000])
def test_entry_that_is_not_an_object_counts_as_absent(
    stages: Callable[..., StageRunner], work: Path, tmp_path: Path, text: str
) -> None:
    stages().run_cached("one", write(work, "first"), key=1)
    (result,) = (tmp_path / "cache").glob("one-*/result.json")
    result.write_text(text, encoding="utf-8")
    assert content_of(stages().run_cached("one", write(work, "second"), key=1)) == "second"


def test_fresh_runs_and_renews(stages: Callable[..., StageRunner], work: Path) -> None:
    stages().run_cached("one", write(work, "first"), key=1)
    assert (
        content_of(stages(fresh=True).run_cached("one", write(work, "second"), key=1)) == "second"
    )
    assert content_of(stages().run_cached("one", write(work, "third"), key=1)) == "second"


def test_damaged_entry_counts_as_absent(
    stages: Callable[..., StageRunner], work: Path, tmp_path: Path
) -> None:
    stages().run_cached("one", write(work, "first"), key=1)
    (entry,) = (tmp_path / "cache").glob("one-*/a/graph")
    entry.write_text("f1rst", encoding="utf-8")
    assert content_of(stages().run_cached("one", write(work, "second"), key=1)) == "second"


def test_old_entries_go(stages: Callable[..., StageRunner], work: Path, tmp_path: Path) -> None:
    for key in range(7):
        stages().run_cached("one", write(work, "x"), key=key)
    assert len(list((tmp_path / "cache").glob("one-*"))) == 4


def test_failure_names_stage_and_those_before(
    stages: Callable[..., StageRunner], work: Path
) -> None:
    def fail() -> StageOutput:
        raise RuntimeError("kernel said no")

    run = stages()
    run.run("export", write(work, "x"))
    with pytest.raises(BuildFailed) as caught:
        run.run("cpu/int8", fail)
    assert str(caught.value) == (
        "stage cpu/int8 failed: RuntimeError: kernel said no (stages before it: export)"
    )


def test_full_disk_says_so(stages: Callable[..., StageRunner]) -> None:
    def fail() -> StageOutput:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(BuildFailed, match=r"no space is left below .*: free some and build again"):
        stages().run("cpu/fp32", fail)


@pytest.mark.parametrize("kind", [SourceError, InvalidArtifact])
def test_other_errors_keep_their_exit_code(
    stages: Callable[..., StageRunner], kind: type[Exception]
) -> None:
    def fail() -> StageOutput:
        raise kind("what is wrong")

    with pytest.raises(kind, match="what is wrong"):
        stages().run("export", fail)


def test_unwritable_cache_costs_no_result(work: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    run = StageRunner(
        work=work, cache=Cache(tmp_path / "file/cache"), fresh=False, on_progress=lambda _: None
    )
    assert content_of(run.run_cached("one", write(work, "first"), key=1)) == "first"


def test_default_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("MINILM_CACHE", raising=False)
    assert default_directory() == tmp_path / "minilm-toolkit"
    monkeypatch.setenv("MINILM_CACHE", str(tmp_path / "own"))
    assert default_directory() == tmp_path / "own"


def test_no_home_directory_costs_no_result(
    monkeypatch: pytest.MonkeyPatch, work: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("MINILM_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # as for a user id without an entry
    assert default_directory() is None
    run = StageRunner(
        work=work, cache=Cache(default_directory()), fresh=False, on_progress=lambda _: None
    )
    assert content_of(run.run_cached("one", write(work, "first"), key=1)) == "first"
    assert content_of(run.run_cached("one", write(work, "second"), key=1)) == "second"
    assert "set MINILM_CACHE" in caplog.text
