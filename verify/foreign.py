"""Verify another tool's conversion: a directory in the Hugging Face layout.

There is no manifest and no loader of ours: the directory's own configuration says how texts are cut
and pooled, and its graph is run as it stands.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from minilm.verify.candidates import hf_config
from minilm.verify.candidates.foreign import ForeignCandidate
from minilm.verify.evaluation import evaluate_candidate
from minilm.verify.gates import BundleMeasurements, Fact, run_bundle_gates
from minilm.verify.policy import BUILT_IN, Policy
from minilm.verify.reference.base import Reference
from minilm.verify.reference.baseline import Baseline, build_baseline
from minilm.verify.reference.corpus import CustomCorpus
from minilm.verify.reference.sts_pairs import SentencePair
from minilm.verify.reports.environment import describe_environment
from minilm.verify.results import Report, Skipped, VariantReport

__all__ = ["open_foreign", "verify_foreign"]


def open_foreign(
    directory: Path, graphs: Sequence[str], *, threads: int | None = None
) -> list[ForeignCandidate]:
    """Open graphs of a directory without a manifest.

    Args:
        directory: Has `tokenizer.json` and graphs, as Hugging Face repositories do.
        graphs: Paths of ONNX files or OpenVINO IRs relative to it; `find_graphs` lists them.
        threads: Threads of the graphs; None for as many as there are cores to use.

    Raises:
        InvalidArtifact: The directory, a graph or a configuration cannot be understood.
        BackendUnavailable: A library that reads a graph is not installed.
    """
    return [ForeignCandidate(directory, name, threads=threads) for name in graphs]


def verify_foreign(  # noqa: PLR0913 - each is a choice of the caller's
    directory: Path,
    candidates: Sequence[ForeignCandidate],
    reference: Reference,
    *,
    policy: Policy = BUILT_IN,
    pairs: Sequence[SentencePair] | None = None,
    corpus: CustomCorpus | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> Report:
    """Compare graphs of a directory without a manifest with the original.

    Args:
        directory: Has `tokenizer.json` and graphs, as Hugging Face repositories do.
        candidates: Its graphs, as `open_foreign` gives them.
        reference: The original.
        policy: Thresholds; a graph counts as int8, fp16 or fp32 by how its weights are stored.
        pairs: Labelled pairs for the gate "sts-drop".
        corpus: Texts in place of the built-in corpus's written ones.
        on_progress: Called with a line before each step.

    Raises:
        InvalidArtifact: The directory, a graph or a configuration cannot be understood.
        BackendUnavailable: A backend is not installed.
    """
    started = time.perf_counter()
    say = on_progress or (lambda _: None)
    say(f"embedding the corpus with {reference.name}")
    baseline = build_baseline(directory, reference, corpus=corpus, pairs=pairs)
    dimension = candidates[0].encode([baseline.samples[0].text]).shape[1]
    facts = _facts(dimension, candidates[0], baseline)
    gates, skipped = run_bundle_gates(BundleMeasurements(facts=facts, baseline=baseline))
    remarks = list(baseline.remarks)
    reports: list[VariantReport] = []
    if dimension == baseline.vectors.shape[1]:
        for candidate in candidates:
            say(f"judging {candidate.name}")
            thresholds = policy.thresholds(candidate.kind)
            reports.append(evaluate_candidate(candidate, baseline, thresholds))
    else:
        remarks.append("no graph was judged: figures against another model mean nothing")
    reason = "left out, since there is no manifest"
    unlisted = [Skipped(gate=name, reason=reason) for name in ("integrity", "reference")]
    return Report(
        artifact=directory.resolve().name,
        model=str(hf_config.read_json(directory, "config.json").get("_name_or_path", "unknown")),
        reference=reference.name,
        policy=policy.name,
        gates=tuple(gates),
        variants=tuple(reports),
        corpus=baseline.infos(),
        skipped=(*unlisted, *skipped),
        remarks=tuple(remarks),
        environment=describe_environment(),
        seconds=time.perf_counter() - started,
    )


def _facts(dimension: int, candidate: ForeignCandidate, baseline: Baseline) -> tuple[Fact, ...]:
    here, original = "here", "of the original"
    pairs = {
        "dimension": (dimension, baseline.vectors.shape[1]),
        "max_tokens": (candidate.limit, baseline.reference.max_tokens),
    }
    return tuple(
        Fact(name=name, ours=ours, where=here, theirs=theirs, elsewhere=original)
        for name, (ours, theirs) in pairs.items()
    )
