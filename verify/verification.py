"""Judge a bundle: the bundle as a whole first, then one variant after the other."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from minilm.runtime import integrity
from minilm.runtime.manifest import read
from minilm.verify import corpus, sts
from minilm.verify.bench import Bench, identify, judge_bundle, set_up
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
    on_progress: Progress | None = None,
) -> Report:
    """Hold a bundle against the original. A failed gate is in the report, not an exception.

    Args:
        bundle: its directory.
        against: the original's weights: a directory, a Hub id, a reference that is loaded already,
            or None for the default model; without PyTorch None means the bundle's golden vectors.
        variants: names of those to judge; None for all.
        threads: for the loader; None leaves it to the loader. The reference computes with one
            thread, always, so that its vectors are the same from run to run.
        policy: thresholds.
        sts_file: labelled sentence pairs, CSV or TSV, for the gate "sts-drop".
        on_progress: gets a line before each step.

    Raises:
        InvalidArtifact: the bundle is damaged, or has no such variant.
        SourceError: there is no such reference.
        BackendUnavailable: a variant cannot run here, or `against` is given without PyTorch.
    """
    started = time.perf_counter()
    say = on_progress or (lambda _: None)
    say("checking files")
    manifest = read(bundle)
    names = list(variants) if variants is not None else [v.name for v in manifest.variants]
    for name in names:
        manifest.variant(name)
    pairs = sts.read_pairs(sts_file) if sts_file else None
    integrity.check(bundle, manifest, "full")
    files = judge("integrity", Measured(figure=0, detail=f"{len(manifest.files)} files"), 0)

    reference, identity = identify(bundle, manifest, against)
    gates, notes, reports = [files, identity], list[str](), list[VariantReport]()
    bench: Bench | None = None
    if identity.passed and reference is not None:
        say(f"embedding the corpus with {reference.name}")
        bench = set_up(bundle, reference)
        found, notes = judge_bundle(bundle, manifest, bench)
        gates += found
    if bench is None or bench.vectors.shape[1] != manifest.model.dimension:
        notes.append("no variant was judged: figures against another model mean nothing")
    else:
        labelled = sts.label(bench.reference, pairs) if pairs else None
        for name in names:
            say(f"judging {name}")
            subject = BundleSubject(bundle, manifest, name, threads=threads)
            rules = policy.thresholds(name)
            reports.append(judge_subject(subject, bench, rules, labelled))
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
