"""The cheap gates, for a build that skips verification: facts, tokens, a few golden vectors."""

import time
from typing import Final

import numpy as np
from minilm.verify.candidates.bundle import BundleCandidate, CheckedBundle
from minilm.verify.gates import (
    GATES,
    BundleMeasurements,
    Identity,
    bundle_facts,
    run_bundle_gates,
    run_identity_gates,
)
from minilm.verify.gates.base import Measurement, result_of
from minilm.verify.gates.measurements import select_probes
from minilm.verify.metrics import rowwise_cosine
from minilm.verify.policy import BUILT_IN
from minilm.verify.reference.baseline import Baseline
from minilm.verify.reference.golden import GoldenReference
from minilm.verify.reports.environment import describe_environment
from minilm.verify.results import Report, VariantReport, shorten
from minilm.verify.tokenizer import TokenizedCorpus, open_tokenizer

__all__ = ["verify_quickly"]

_EVERY: Final = 40
"""One golden text of so many is embedded, beside those of all lengths."""


def verify_quickly(bundle: CheckedBundle) -> Report:
    """Compare a bundle with its golden vectors in seconds, to find a wrong one.

    The gates are those of the bundle as a whole, and for each variant "cosine-min" and
    "unit-length" over some twenty texts of all lengths, with the built-in thresholds.

    Raises:
        InvalidArtifact: A graph, a configuration or `golden.npz` cannot be read.
        BackendUnavailable: A variant cannot run here.
    """
    started = time.perf_counter()
    golden = GoldenReference(bundle.directory)
    baseline = _baseline(bundle, golden)
    gates, _ = run_identity_gates(Identity(manifest=bundle.manifest, reference=golden))
    facts = bundle_facts(bundle, baseline)
    more, _ = run_bundle_gates(BundleMeasurements(facts=facts, baseline=baseline, bundle=bundle))
    same_dimension = baseline.vectors.shape[1] == bundle.manifest.model.dimension
    return Report(
        artifact=bundle.directory.resolve().name,
        model=bundle.manifest.model.id,
        reference=golden.name,
        policy=BUILT_IN.name,
        gates=(*gates, *more),
        variants=tuple(
            _evaluate(bundle, name, baseline) for name in bundle.variants if same_dimension
        ),
        corpus=baseline.infos(),
        environment=describe_environment(),
        seconds=time.perf_counter() - started,
    )


def _baseline(bundle: CheckedBundle, golden: GoldenReference) -> Baseline:
    texts = [sample.text for sample in golden.corpus]
    tokens = TokenizedCorpus(open_tokenizer(bundle.directory), texts, golden.max_tokens)
    rows = zip(texts, tokens.ids, golden.token_ids(texts), strict=True)
    chosen = sorted({*select_probes(tokens), *range(0, len(texts), _EVERY)})
    return Baseline(
        reference=golden,
        samples=tuple(golden.corpus[place] for place in chosen),
        vectors=golden.encode([texts[place] for place in chosen]),
        tokens=tokens.subset(chosen),
        strays=tuple(text for text, ours, theirs in rows if ours != theirs),
        tokenized=len(texts),
    )


def _evaluate(bundle: CheckedBundle, name: str, baseline: Baseline) -> VariantReport:
    started = time.perf_counter()
    candidate = BundleCandidate(bundle.directory, bundle.manifest, name)
    texts = [sample.text for sample in baseline.samples]
    try:
        vectors = candidate.encode(texts)
    finally:
        candidate.close()
    cosines = rowwise_cosine(vectors, baseline.vectors)
    off = np.abs(np.linalg.norm(vectors.astype(np.float64), axis=1) - 1)
    # The place of a NaN is found too: it is the lowest, and the largest.
    figures = {"cosine-min": (cosines, int(np.argmin(cosines)))}
    if candidate.normalized:
        figures["unit-length"] = (off, int(np.argmax(off)))
    thresholds = BUILT_IN.thresholds(name)
    gates = tuple(
        result_of(
            GATES[gate],
            Measurement(figure=float(values[place]), worst=shorten(texts[place])),
            thresholds[gate] or 0,
        )
        for gate, (values, place) in figures.items()
    )
    return VariantReport(
        name=name,
        gates=gates,
        cosines=tuple(cosines.tolist()),
        size_bytes=sum(path.stat().st_size for path in candidate.files),
        runs_on=candidate.runs_on,
        seconds=time.perf_counter() - started,
    )
