"""From weights to a verified bundle."""

import hashlib
import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from minilm import convert, optimize, verify
from minilm.convert import Source
from minilm.optimize import ExportedModel
from minilm.pipeline.bundle_files import copy_model_files, toolchain, write_manifest
from minilm.pipeline.cache import Cache, default_directory
from minilm.pipeline.card import model_card
from minilm.pipeline.output import StageOutput
from minilm.pipeline.stages import StageResult, StageRunner
from minilm.pipeline.staging import expect_replaceable, staged
from minilm.pipeline.verdict import describe_failure
from minilm.runtime import integrity
from minilm.runtime.errors import BuildFailed, GateFailed
from minilm.runtime.extras import require_extra
from minilm.runtime.manifest import (
    REPORT_DIR,
    VARIANTS,
    FileEntry,
    Manifest,
    read,
)
from minilm.runtime.native import is_built
from minilm.verify import Report
from minilm.verify.reference import GOLDEN_NAME, PyTorchReference, Reference, write_golden

if TYPE_CHECKING:
    from minilm.optimize.calibrator import Calibrator

__all__ = ["BuildOptions", "BuildSummary", "build"]

_GRAPH = "export.onnx"
_CARD = "README.md"


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """What to build.

    Attributes:
        model: Directory or Hub id of the weights; None for the packaged all-MiniLM-L6-v2.
        output: Directory of the bundle; a bundle that is there is replaced at the end.
        variants: Names of the variants to build, in the order of `VARIANTS`.
        fresh: Whether to run every stage, whatever the cache holds.
        force: Whether to replace a directory that is not a bundle, too.
        cache_dir: Directory of the stage cache; None for the user's cache directory.
        verify: Whether to run every gate before the bundle is swapped in; without it only the cheap
            ones run, in seconds.
        calibration: Calibration texts for int8; None for the project's own.
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
        output: Directory of the bundle.
        stages: Stages in the order in which they ran.
        files: Files that the manifest covers.
        report: Report of the verification, or None where it was skipped.
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
        options: What to build.
        on_progress: Callback that gets the name of each stage before it starts.

    Raises:
        UsageError: the output is a file or a directory of something else.
        SourceError: the weights are missing or not what they should be.
        BackendUnavailable: the extra `build` is not installed.
        BuildFailed: the output cannot be written, or a stage failed; what stood there stays.
        GateFailed: a variant does not give the original's vectors; what stood there stays.
    """
    expect_replaceable(options.output, force=options.force)
    on_progress("weights")
    source = convert.resolve(options.model)
    with require_extra("build", "Building a bundle"):
        versions = toolchain()
    cache = Cache(options.cache_dir or default_directory())
    with staged(options.output, force=options.force) as work:
        runner = StageRunner(work=work, cache=cache, fresh=options.fresh, on_progress=on_progress)
        manifest, report = _fill(runner, source, options, versions)
    return BuildSummary(
        output=options.output, stages=tuple(runner.done), files=manifest.files, report=report
    )


def _fill(
    runner: StageRunner, source: Source, options: BuildOptions, versions: dict[str, str]
) -> tuple[Manifest, Report | None]:
    work = runner.work
    outputs = _build_variants(runner, source, options, versions)
    variants = [output.variant for output in outputs if output.variant is not None]
    outputs.append(
        runner.run("model files", lambda: StageOutput.of(work, copy_model_files(source, work)))
    )
    # In float64, so that the golden vectors are the same on every processor.
    reference = PyTorchReference(options.model, dtype="float64")
    outputs.append(runner.run("golden vectors", partial(_write_golden, work, reference)))
    files = [file for output in outputs for file in output.files]
    manifest = write_manifest(source, variants, files, work)
    report = _evaluate(runner, reference, options)
    kept = report if options.verify else None
    return runner.run("manifest", partial(_finish, source, manifest, kept, work)), kept


def _build_variants(
    runner: StageRunner, source: Source, options: BuildOptions, versions: dict[str, str]
) -> list[StageOutput]:
    work = runner.work
    made_from = {
        "weights": source.weights_sha256,
        "config": asdict(source.config),
        "model": _sha256(source.layout.transformer / "config.json"),
        "tokenizer": _sha256(source.tokenizer),
        "toolchain": versions,
        "code": _code(),
    }
    runner.run_cached("export", partial(_export, source, work), key=made_from)
    exported = ExportedModel(
        graph=work / _GRAPH,
        tokenizer=source.tokenizer,
        config=source.config,
    )
    calibration = optimize.calibrate(exported, options.calibration)
    outputs = []
    for name in options.variants:
        if reason := _left_out(exported, name):
            runner.on_progress(f"{name} is left out: {reason}")
            continue
        fitted = {"calibration": options.calibration} if name.endswith("/int8") else {}
        stage = partial(_build_variant, exported, name, work, calibration)
        outputs.append(runner.run_cached(name, stage, key=made_from | fitted))
    (work / _GRAPH).unlink()
    if not outputs:
        raise BuildFailed(f"none of the variants can be built here: {', '.join(options.variants)}")
    return outputs


def _left_out(exported: ExportedModel, name: str) -> str | None:
    """Why a variant is left out of a build; None if it is built."""
    if name.startswith("native/") and not is_built():
        return (
            "the native encoder is not compiled in this installation, so nothing could verify it; "
            "install a C++17 compiler and minilm-toolkit again"
        )
    return optimize.unsupported_reason(exported, name)


def _export(source: Source, work: Path) -> StageOutput:
    convert.export(source, work / _GRAPH)
    return StageOutput.of(work, [_GRAPH])


def _build_variant(
    exported: ExportedModel, name: str, work: Path, calibration: "Calibrator"
) -> StageOutput:
    variant = optimize.build_variant(exported, name, work, calibration)
    return StageOutput.of(work, variant.files, variant)


def _write_golden(work: Path, reference: Reference) -> StageOutput:
    write_golden(work, reference)
    return StageOutput.of(work, [GOLDEN_NAME])


def _evaluate(runner: StageRunner, reference: Reference, options: BuildOptions) -> Report:
    """Compare with the original: with every gate, or with the cheap ones, which always run."""
    work = runner.work
    name = "verify" if options.verify else "check"

    def evaluate() -> Report:
        bundle = verify.check_bundle(work)
        if not options.verify:
            return verify.verify_quickly(bundle)
        # With one thread, so that the card's figures are the same again.
        return verify.verify_bundle(
            bundle,
            reference,
            threads=1,
            on_progress=lambda line: runner.on_progress(f"{name}: {line}"),
        )

    report = runner.run(name, evaluate)
    if not report.passed:
        raise GateFailed(describe_failure(report, options.output))
    if options.verify:
        # The report is read where the bundle will be, not in the folder that becomes it.
        command = ["toolkit", "verify", str(options.output)]
        command += ["--against", options.model] if options.model else []
        named = replace(report, artifact=options.output.resolve().name, command=shlex.join(command))
        verify.write_reports(named, work / REPORT_DIR)
    return report


def _finish(source: Source, manifest: Manifest, report: Report | None, work: Path) -> Manifest:
    """Add the model card, and write the manifest once more with it."""
    card = model_card(manifest, report)
    (work / _CARD).write_text(card, encoding="utf-8", newline="\n")
    files = [*manifest.files, *StageOutput.of(work, [_CARD]).files]
    manifest = write_manifest(source, manifest.variants, files, work)
    integrity.check(work, manifest, "sizes")  # every file was hashed just before
    return read(work)


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
