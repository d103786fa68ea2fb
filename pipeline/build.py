"""From weights to a verified bundle."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from minilm import convert, optimize, verify
from minilm.convert import Source
from minilm.optimize import Exported
from minilm.pipeline.cache import Cache, default_directory
from minilm.pipeline.card import model_card
from minilm.pipeline.contents import copy_model_files, toolchain, write_manifest
from minilm.pipeline.stages import StageResult, Stages
from minilm.pipeline.staging import staged
from minilm.runtime import integrity
from minilm.runtime.errors import GateFailed
from minilm.runtime.extras import require_extra
from minilm.runtime.manifest import (
    MANIFEST_NAME,
    REPORT_DIR,
    VARIANTS,
    FileEntry,
    Manifest,
    Variant,
    read,
)
from minilm.verify import Report, golden
from minilm.verify.reference import PyTorchReference, Reference

__all__ = ["BuildOptions", "BuildSummary", "build"]

_GRAPH = "export.onnx"


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """What to build.

    Attributes:
        model: a directory, a Hub id, or None for the packaged all-MiniLM-L6-v2.
        output: directory of the bundle; one that stands there is replaced at the end.
        variants: names, in the order of `VARIANTS`.
        fresh: run every stage, whatever the cache holds.
        force: replace a directory that is no bundle too.
        cache_dir: where finished stages are kept; None for the user's cache directory.
        verify: whether to compare with PyTorch before the bundle is swapped in.
        calibration: texts for int8, or None for the project's own.
    """

    model: str | None = None
    output: Path = Path("artifacts/all-MiniLM-L6-v2")
    variants: tuple[str, ...] = tuple(VARIANTS)
    fresh: bool = False
    force: bool = False
    cache_dir: Path | None = None
    verify: bool = True
    calibration: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class BuildSummary:
    """What was built.

    Attributes:
        output: directory of the bundle.
        stages: in the order in which they ran.
        files: what the manifest covers.
        report: the verification, or None where it was left out.
    """

    output: Path
    stages: tuple[StageResult, ...]
    files: tuple[FileEntry, ...]
    report: Report | None = field(repr=False)


def build(
    options: BuildOptions, on_progress: Callable[[str], None] = lambda _: None
) -> BuildSummary:
    """Build a bundle and swap it in.

    Args:
        options: what to build.
        on_progress: gets the name of each stage before it starts.

    Raises:
        SourceError: the weights are missing or not what they should be.
        BackendUnavailable: the extra `build` is not installed.
        BuildFailed: the output cannot be written, or a stage failed; what stood there stays.
        GateFailed: a variant does not give the original's vectors; what stood there stays.
    """
    on_progress("weights")
    source = convert.resolve(options.model)
    with require_extra("build", "Building a bundle"):
        versions = toolchain()
    cache = Cache(options.cache_dir or default_directory())
    with staged(options.output, force=options.force) as work:
        stages = Stages(work=work, cache=cache, fresh=options.fresh, on_progress=on_progress)
        manifest, report = _fill(stages, source, options, versions)
    return BuildSummary(
        output=options.output, stages=tuple(stages.done), files=manifest.files, report=report
    )


def _fill(
    stages: Stages, source: Source, options: BuildOptions, versions: dict[str, str]
) -> tuple[Manifest, Report | None]:
    work = stages.work
    made_from = {
        "weights": source.weights_sha256,
        "architecture": asdict(source.architecture),
        "tokenizer": _sha256(source.directory / "tokenizer.json"),
        "toolchain": versions,
        "code": _code(),
    }
    stages.run("export", lambda: _export(source, work), key=made_from)
    exported = Exported(
        graph=work / _GRAPH,
        tokenizer=source.directory / "tokenizer.json",
        **asdict(source.architecture),
    )
    corpus = options.calibration
    variants = []
    for name in options.variants:
        key = {**made_from, "calibration": corpus} if name.endswith("/int8") else made_from
        result = stages.run(name, partial(_variant, exported, name, work, corpus), key=key)
        variants.append(Variant.from_data(result["variant"]))
    (work / _GRAPH).unlink()
    stages.run("model files", lambda: {"files": copy_model_files(source, work)})
    reference = PyTorchReference(options.model)
    stages.run("golden vectors", partial(_golden, work, reference))
    report = _judge(stages, source, variants, reference) if options.verify else None
    stages.run("manifest", lambda: _finish(source, variants, work, report))
    return read(work), report


def _export(source: Source, work: Path) -> dict[str, Any]:
    convert.export(source, work / _GRAPH)
    return {"files": [_GRAPH]}


def _variant(
    exported: Exported, name: str, work: Path, corpus: Sequence[str] | None
) -> dict[str, Any]:
    variant = optimize.build_variant(exported, name, work, corpus)
    return {"files": list(variant.files), "variant": asdict(variant)}


def _judge(
    stages: Stages, source: Source, variants: Sequence[Variant], reference: Reference
) -> Report:
    """Compare with the original; with one thread, so that the card's figures are the same again."""
    work = stages.work
    write_manifest(source, variants, work)
    found: list[Report] = []

    def compare() -> dict[str, Any]:
        def step(line: str) -> None:
            stages.on_progress(f"verify: {line}")

        found.append(verify.verify_bundle(work, against=reference, threads=1, on_progress=step))
        return {"files": []}

    stages.run("verify", compare)
    report = found[0]
    if not report.passed:
        failed = "; ".join(
            f"{place}, gate {gate.name}: {gate.figure:.6g}, must be {gate.comparison} "
            f"{gate.threshold:g}" + (f", worst {gate.worst!r}" if gate.worst else "")
            for place, gate in report.failures
        )
        raise GateFailed(f"the build is not the original's equal and was not kept: {failed}")
    verify.write_reports(report, work / REPORT_DIR)
    return report


def _golden(work: Path, reference: Reference) -> dict[str, Any]:
    golden.write(work, reference)
    return {"files": ["golden.npz"]}


def _finish(
    source: Source, variants: Sequence[Variant], work: Path, report: Report | None
) -> dict[str, Any]:
    manifest = write_manifest(source, variants, work)
    (work / "README.md").write_text(model_card(manifest, report), encoding="utf-8", newline="\n")
    integrity.check(work, write_manifest(source, variants, work), "full")
    return {"files": ["README.md", MANIFEST_NAME]}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _code() -> str:
    """SHA-256 of the code that makes graphs: another pass makes another graph."""
    digest = hashlib.sha256()
    for package in ("minilm.convert", "minilm.optimize"):
        root = Path(str(files(package)))
        for path in sorted(root.rglob("*")):
            if path.suffix in {".py", ".txt"}:
                digest.update(path.relative_to(root).as_posix().encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()
