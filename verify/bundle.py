"""Verify a bundle: the bundle as a whole first, then its variants."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from minilm.runtime.hardware.cpu import available_cores
from minilm.runtime.hardware.host import Host, detect_host
from minilm.runtime.manifest import Manifest, read
from minilm.verify.candidates.bundle import BundleCandidate, CheckedBundle
from minilm.verify.evaluation import evaluate_candidate
from minilm.verify.gates import (
    BundleMeasurements,
    Identity,
    bundle_facts,
    run_bundle_gates,
    run_identity_gates,
)
from minilm.verify.metrics import rowwise_cosine
from minilm.verify.policy import BUILT_IN, Policy
from minilm.verify.reference.base import Reference
from minilm.verify.reference.baseline import Baseline, RejectedReference, build_baseline
from minilm.verify.reference.corpus import CustomCorpus, build_corpus
from minilm.verify.reference.sts_pairs import SentencePair
from minilm.verify.reports.environment import describe_environment
from minilm.verify.results import GateResult, Parity, Report, Skipped, VariantReport
from minilm.verify.tokenizer import token_counter

__all__ = ["measure", "measure_parity", "substituted_kernels", "verify_bundle"]

Progress = Callable[[str], None]


def verify_bundle(  # noqa: PLR0913 - each is a choice of the caller's
    bundle: CheckedBundle,
    reference: Reference | RejectedReference,
    *,
    threads: int | None = None,
    policy: Policy = BUILT_IN,
    pairs: Sequence[SentencePair] | None = None,
    corpus: CustomCorpus | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Compare a bundle with the original. A failed gate is in the report, not an exception.

    Example:
        >>> checked = check_bundle(Path("artifacts/all-MiniLM-L6-v2"))  # doctest: +SKIP
        >>> reference = resolve_reference(None, checked.directory)  # doctest: +SKIP
        >>> verify_bundle(checked, reference).passed  # doctest: +SKIP
        True

    Args:
        bundle: The bundle, as `check_bundle` gives it.
        reference: The original, as `resolve_reference` gives it.
        threads: Threads of the loader, one variant after the other; None for two variants at once,
            each with all cores there are to use: much of the work is too small for more than one.
        policy: Thresholds.
        pairs: Labelled pairs for the gate "sts-drop".
        corpus: Texts in place of the built-in corpus's written ones; those around the limit stay,
            for the gates that need them.
        on_progress: Called with a line before each step.

    Raises:
        InvalidArtifact: A graph or a configuration cannot be read.
        BackendUnavailable: A variant cannot run here, or `corpus` is given without PyTorch.
    """
    started = time.perf_counter()
    say = on_progress or (lambda _: None)
    gates, skipped = run_identity_gates(Identity(manifest=bundle.manifest, reference=reference))
    baseline: Baseline | None = None
    if not isinstance(reference, RejectedReference) and all(gate.passed for gate in gates):
        say(f"embedding the corpus with {reference.name}")
        baseline = build_baseline(bundle.directory, reference, corpus=corpus, pairs=pairs)
        found = _evaluate_whole(bundle, baseline)
        gates, skipped = (*gates, *found[0]), (*skipped, *found[1])
    remarks = list(baseline.remarks) if baseline else []
    remarks += [f"{path} is not in the manifest, and nothing reads it" for path in bundle.unlisted]
    remarks += substituted_kernels(bundle.manifest, bundle.variants, detect_host(providers=False))
    reports: list[VariantReport] = []
    if baseline is None or baseline.vectors.shape[1] != bundle.manifest.model.dimension:
        remarks.append("no variant was judged: figures against another model mean nothing")
    else:
        reports = _evaluate_variants(bundle, baseline, policy, threads, say)
    return Report(
        artifact=bundle.directory.resolve().name,
        model=bundle.manifest.model.id,
        reference=reference.name,
        policy=policy.name,
        gates=gates,
        variants=tuple(reports),
        corpus=baseline.infos() if baseline else (),
        skipped=skipped,
        remarks=tuple(remarks),
        environment=describe_environment(),
        seconds=time.perf_counter() - started,
    )


def substituted_kernels(manifest: Manifest, variants: Sequence[str], host: Host) -> Iterator[str]:
    """Say of each variant whose instruction sets are missing that other kernels ran in their place.

    Args:
        manifest: The bundle's.
        variants: Names of the variants that are evaluated.
        host: The processor that evaluates them.
    """
    for name in variants:
        sets = [each for each in manifest.variant(name).instruction_sets if "sm_" not in each]
        if sets and not set(sets) & set(host.instruction_sets):
            yield (
                f"{name} is meant for processors with {' or '.join(sets)}; this one has none of "
                "them, so its figures are those of other kernels"
            )


def measure_parity(
    directory: Path,
    *,
    reference: Reference,
    variants: Sequence[str] | None = None,
    threads: int = 1,
    corpus: CustomCorpus | None = None,
) -> dict[str, Parity]:
    """Cosines of each variant to the original over the corpus, and nothing else.

    Args:
        directory: A bundle with a manifest; `golden.npz` and the model card may be missing still.
        reference: The original.
        variants: Names of the variants; None for all.
        threads: Threads of the loader; with one the figures are the same from run to run.
        corpus: Texts in place of the built-in corpus's written ones.

    Raises:
        InvalidArtifact: The bundle has no such variant, or a graph cannot be loaded.
        BackendUnavailable: A variant cannot run here.
    """
    manifest = read(directory)
    written = corpus.samples if corpus else None
    samples = build_corpus(reference.max_tokens, token_counter(directory), written)
    texts = [sample.text for sample in samples]
    expected = reference.encode(texts)
    found = {}
    for name in variants or [variant.name for variant in manifest.variants]:
        candidate = BundleCandidate(directory, manifest, name, threads=threads)
        try:
            cosines = rowwise_cosine(candidate.encode(texts), expected)
        finally:
            candidate.close()
        found[name] = Parity.of(cosines.tolist())
    return found


measure = measure_parity
"""Former name of `measure_parity`, kept for one release."""


def _evaluate_whole(
    bundle: CheckedBundle, baseline: Baseline
) -> tuple[tuple[GateResult, ...], tuple[Skipped, ...]]:
    facts = bundle_facts(bundle, baseline)
    return run_bundle_gates(BundleMeasurements(facts=facts, baseline=baseline, bundle=bundle))


def _evaluate_variants(
    bundle: CheckedBundle, baseline: Baseline, policy: Policy, threads: int | None, say: Progress
) -> list[VariantReport]:
    """Evaluate every variant; the first that cannot be stops those that have not begun."""

    def evaluate(name: str) -> VariantReport:
        candidate = BundleCandidate(bundle.directory, bundle.manifest, name, threads=threads)
        return evaluate_candidate(candidate, baseline, policy.thresholds(name))

    names = bundle.variants
    at_once = 1 if threads else min(2, available_cores()[0], max(1, len(names)))
    with ThreadPoolExecutor(at_once, thread_name_prefix="verify") as pool:
        futures = [pool.submit(evaluate, name) for name in names]
        reports = []
        try:
            for name, future in zip(names, futures, strict=True):
                say(f"judging {name}")
                reports.append(future.result())
        finally:
            for future in futures:
                future.cancel()
    return reports
