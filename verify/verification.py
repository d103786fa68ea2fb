"""Judge a bundle: the bundle as a whole first, then one variant after the other."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from minilm.runtime import integrity
from minilm.runtime.hardware.cpu import available_cores
from minilm.runtime.manifest import read
from minilm.verify import corpus, sts
from minilm.verify.bench import Bench, corpus_note, identify, judge_bundle, set_up
from minilm.verify.corpus_file import read_texts
from minilm.verify.environment import describe
from minilm.verify.gates import Measured, judge
from minilm.verify.judging import judge_subject
from minilm.verify.policy import BUILT_IN, Policy
from minilm.verify.ranking import cosines
from minilm.verify.reference import Reference
from minilm.verify.report import Parity, Report, VariantReport
from minilm.verify.subject import BundleSubject
from minilm.verify.tokens import counter

__all__ = ["measure", "verify_bundle"]

Progress = Callable[[str], None]


def verify_bundle(  # noqa: PLR0913 - each is a choice of the caller's
    bundle: Path,
    *,
    against: str | Reference | None = None,
    variants: Sequence[str] | None = None,
    threads: int | None = None,
    policy: Policy = BUILT_IN,
    sts_file: Path | None = None,
    corpus_file: Path | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Hold a bundle against the original. A failed gate is in the report, not an exception.

    Args:
        bundle: its directory.
        against: the original's weights: a directory, a Hub id, a reference that is loaded already,
            or None for the default model; without PyTorch None means the bundle's golden vectors.
        variants: names of those to judge; None for all.
        threads: for the loader, one variant after the other; None for two variants at once, each
            with all cores there are to use: much of the work is too small for more than one. The
            reference computes with one thread, always, so that its vectors are the same from run
            to run.
        policy: thresholds.
        sts_file: labelled sentence pairs, CSV or TSV, for the gate "sts-drop".
        corpus_file: texts of one's own, one a line, in place of the written ones of the built-in
            corpus; those around the limit stay, for the gates that need them.
        on_progress: gets a line before each step.

    Raises:
        InvalidArtifact: the bundle is damaged, or has no such variant.
        SourceError: there is no such reference.
        BackendUnavailable: a variant cannot run here, or `against` or `corpus_file` is given
            without PyTorch.
        UsageError: `sts_file` or `corpus_file` cannot be used.
    """
    started = time.perf_counter()
    say = on_progress or (lambda _: None)
    say("checking files")
    manifest = read(bundle)
    names = list(variants) if variants is not None else [v.name for v in manifest.variants]
    for name in names:
        manifest.variant(name)
    pairs = sts.read_pairs(sts_file) if sts_file else None
    own, used = read_texts(corpus_file) if corpus_file else (None, "")
    with ThreadPoolExecutor(1, thread_name_prefix="hash") as beside:
        hashed = beside.submit(integrity.check, bundle, manifest, "full")
        _import_backends(names)
        hashed.result()
    files = judge("integrity", Measured(figure=0, detail=f"{len(manifest.files)} files"), 0)

    reference, identity = identify(bundle, manifest, against)
    gates, notes, reports = [files, identity], list[str](), list[VariantReport]()
    bench: Bench | None = None
    if identity.passed and reference is not None:
        say(f"embedding the corpus with {reference.name}")
        bench = set_up(bundle, reference, own)
        found, notes = judge_bundle(bundle, manifest, bench)
        gates += found
        notes += [corpus_note(used)] if used else []
    if bench is None or bench.vectors.shape[1] != manifest.model.dimension:
        notes.append("no variant was judged: figures against another model mean nothing")
    else:
        labelled = sts.label(bench.reference, pairs) if pairs else None

        at_once = 1 if threads else min(2, available_cores()[0], max(1, len(names)))

        def judge_variant(name: str, bench: Bench = bench) -> VariantReport:
            subject = BundleSubject(bundle, manifest, name, threads=threads)
            return judge_subject(subject, bench, policy.thresholds(name), labelled)

        reports = _judge_all(names, judge_variant, at_once, say)
    return Report(
        artifact=bundle.resolve().name,
        model=manifest.model.id,
        reference=reference.name if reference else str(against),
        policy=policy.name,
        gates=tuple(gates),
        variants=tuple(reports),
        corpus=bench.infos() if bench else (),
        notes=tuple(notes),
        environment=describe(),
        seconds=time.perf_counter() - started,
    )


def _import_backends(names: Sequence[str]) -> None:
    """Import what runs the variants, before threads want it.

    A library that one thread is still importing has no version for the loader in another.
    """
    for name in names:
        with suppress(ImportError):
            import_module("openvino" if name.startswith("openvino/") else "onnxruntime")


def _judge_all(
    names: Sequence[str], judge_variant: Callable[[str], VariantReport], at_once: int, say: Progress
) -> list[VariantReport]:
    """Judge every variant; the first that cannot be judged stops those that have not begun."""
    with ThreadPoolExecutor(at_once, thread_name_prefix="verify") as pool:
        judged = [pool.submit(judge_variant, name) for name in names]
        reports = []
        try:
            for name, report in zip(names, judged, strict=True):
                say(f"judging {name}")
                reports.append(report.result())
        finally:
            for report in judged:
                report.cancel()
    return reports


def measure(
    bundle: Path,
    *,
    reference: Reference,
    variants: Sequence[str] | None = None,
    threads: int = 1,
) -> dict[str, Parity]:
    """Cosines of each variant to the original over the built-in corpus, and nothing else.

    Args:
        bundle: with a manifest; `golden.npz` and the model card may be missing still.
        reference: the original.
        variants: names of those to measure; None for all.
        threads: for the loader; with one the figures are the same from run to run.

    Raises:
        InvalidArtifact: the bundle has no such variant, or a graph cannot be loaded.
        BackendUnavailable: a variant cannot run here.
    """
    manifest = read(bundle)
    samples = corpus.samples(reference.max_tokens, counter(bundle))
    texts = [sample.text for sample in samples]
    expected = reference.encode(texts)
    found = {}
    for name in variants or [v.name for v in manifest.variants]:
        subject = BundleSubject(bundle, manifest, name, threads=threads)
        try:
            values = cosines(subject.encode(texts), expected)
        finally:
            subject.close()
        found[name] = Parity.of(values.tolist())
    return found
