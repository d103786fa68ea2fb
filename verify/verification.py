"""Judge a bundle: the bundle as a whole first, then one variant after the other."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from minilm.runtime import integrity
from minilm.runtime.errors import SourceError
from minilm.runtime.manifest import MANIFEST_NAME, Manifest, read
from minilm.verify import corpus, inspection, sts
from minilm.verify.environment import describe
from minilm.verify.gates import Measured, judge, judge_trial
from minilm.verify.golden import GOLDEN_NAME, GoldenReference
from minilm.verify.policy import BUILT_IN, Policy
from minilm.verify.ranking import cosines
from minilm.verify.reference import PyTorchReference, Reference, Vectors, torch_installed
from minilm.verify.report import GateResult, Parity, Report, TextInfo, VariantReport, shorten
from minilm.verify.subject import BundleSubject, size_bytes
from minilm.verify.tokens import counter, open_tokenizer
from minilm.verify.trial import Tokens, Trial

__all__ = ["measure", "verify_bundle"]

_GOLDEN_MIN: Final = 0.999999

Progress = Callable[[str], None]


def verify_bundle(
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

    reference, identity = _identify(bundle, manifest, against)
    bench: _Bench | None = None
    gates, reports = [files, identity], []
    notes: list[str]
    if identity.passed and reference is not None:
        say(f"embedding the corpus with {reference.name}")
        bench = _set_up(bundle, manifest, reference)
        found, notes = _bundle_gates(bundle, manifest, bench)
        gates += found
        labelled = sts.label(reference, pairs) if pairs else None
        stand = _Stand(bundle=bundle, manifest=manifest, threads=threads, policy=policy)
        for name in names:
            say(f"judging {name}")
            reports.append(_judge_variant(stand, name, bench, labelled))
    else:
        notes = ["nothing else was measured: figures against other weights mean nothing"]
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
    samples = corpus.samples(manifest.model.max_tokens, counter(bundle))
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


@dataclass(frozen=True, kw_only=True)
class _Bench:
    """What every variant is held against."""

    samples: tuple[corpus.Sample, ...]
    reference: Reference
    vectors: Vectors
    tokens: Tokens

    def infos(self) -> tuple[TextInfo, ...]:
        return tuple(
            TextInfo(text=shorten(sample.text), category=sample.category, tokens=length)
            for sample, length in zip(self.samples, self.tokens.lengths, strict=True)
        )


@dataclass(frozen=True, kw_only=True)
class _Stand:
    """Where a variant comes from and how it is judged."""

    bundle: Path
    manifest: Manifest
    threads: int | None
    policy: Policy


def _identify(
    bundle: Path, manifest: Manifest, against: str | Reference | None
) -> tuple[Reference | None, GateResult]:
    """The reference, and the gate that says whether it has the weights that the bundle names."""
    wanted = manifest.model.weights_sha256
    reference: Reference
    if isinstance(against, str) and (Path(against) / MANIFEST_NAME).is_file():
        other = "itself" if Path(against).resolve() == bundle.resolve() else "another bundle"
        detail = f"{against} is {other}: an artifact cannot vouch for an artifact"
        return None, judge("reference", Measured(figure=1, worst=against, detail=detail), 0)
    if against is None and not torch_installed():
        reference = GoldenReference(bundle)
    elif against is None or isinstance(against, str):
        reference = PyTorchReference(against)
    else:
        reference = against
    same = reference.weights_sha256 == wanted
    detail = f"weights {reference.weights_sha256[:12]}"
    if not same:
        detail = (
            f"the bundle was made from {manifest.model.id} with weights {wanted[:12]}, "
            f"the reference has weights {reference.weights_sha256[:12]}"
        )
    worst = "" if same else reference.name
    return reference, judge("reference", Measured(figure=not same, worst=worst, detail=detail), 0)


def _set_up(bundle: Path, manifest: Manifest, reference: Reference) -> _Bench:
    limit = manifest.model.max_tokens
    if isinstance(reference, GoldenReference):
        samples = reference.samples
    else:
        samples = corpus.samples(limit, counter(bundle))
    texts = [sample.text for sample in samples]
    vectors = reference.encode(texts)
    if vectors.shape[1] != manifest.model.dimension:
        raise SourceError(
            f"the reference gives {vectors.shape[1]} dimensions, the manifest says "
            f"{manifest.model.dimension}"
        )
    tokens = Tokens(open_tokenizer(bundle), texts, limit)
    return _Bench(samples=samples, reference=reference, vectors=vectors, tokens=tokens)


def _bundle_gates(
    bundle: Path, manifest: Manifest, bench: _Bench
) -> tuple[list[GateResult], list[str]]:
    gates, notes = [], []
    if isinstance(bench.reference, GoldenReference):
        notes.append(
            "gate golden: left out, since golden.npz is the reference itself: PyTorch is not "
            "installed here; the golden vectors are taken on trust"
        )
    elif any(entry.path == GOLDEN_NAME for entry in manifest.files):
        gates.append(_golden_gate(bundle, bench))
    else:
        notes.append(f"gate golden: left out, since the bundle has no {GOLDEN_NAME}")
    expected = bench.reference.token_ids([sample.text for sample in bench.samples])
    differ = [i for i, row in enumerate(expected) if row != bench.tokens.ids[i]]
    worst = shorten(bench.samples[differ[0]].text) if differ else ""
    gates.append(judge("tokenizer", Measured(figure=len(differ), worst=worst), 0))
    return gates, notes


def _golden_gate(bundle: Path, bench: _Bench) -> GateResult:
    golden = GoldenReference(bundle)
    if golden.weights_sha256 != bench.reference.weights_sha256:
        detail = f"recorded from other weights ({golden.weights_sha256[:12]})"
        return judge("golden", Measured(figure=-1, detail=detail), _GOLDEN_MIN)
    texts = [sample.text for sample in golden.samples]
    same = texts == [sample.text for sample in bench.samples]
    recorded, original = golden.encode(texts), bench.vectors
    if not same:
        original = bench.reference.encode(texts)
    if recorded.shape != original.shape:
        detail = f"{recorded.shape[1]} dimensions, the reference has {original.shape[1]}"
        return judge("golden", Measured(figure=-1, detail=detail), _GOLDEN_MIN)
    found = cosines(recorded, original)
    measured = Measured(
        figure=float(found.min()), worst=shorten(texts[int(found.argmin())]), detail=""
    )
    return judge("golden", measured, _GOLDEN_MIN)


def _judge_variant(
    stand: _Stand, name: str, bench: _Bench, labelled: sts.Labelled | None
) -> VariantReport:
    started = time.perf_counter()
    thresholds = stand.policy.thresholds(name)
    subject = BundleSubject(stand.bundle, stand.manifest, name, threads=stand.threads)
    try:
        trial = Trial(subject, bench.samples, bench.vectors, bench.tokens)
        results: list[GateResult | str] = list(judge_trial(trial, thresholds))
        if labelled:
            results.append(sts.judge_drop(subject, labelled, thresholds.get("sts-drop")))
        values = tuple(trial.cosines.tolist())
    finally:
        subject.close()
    found, operators = _inspect(stand, name, thresholds)
    results += found
    return VariantReport(
        name=name,
        gates=tuple(result for result in results if isinstance(result, GateResult)),
        cosines=values,
        size_bytes=size_bytes(stand.bundle, stand.manifest, name),
        operators=operators,
        runs_on=subject.runs_on,
        notes=tuple(result for result in results if isinstance(result, str)),
        seconds=time.perf_counter() - started,
    )


def _inspect(
    stand: _Stand, name: str, thresholds: Mapping[str, float | None]
) -> tuple[list[GateResult | str], dict[str, int]]:
    """Operators and precision as the manifest says."""
    variant = stand.manifest.variant(name)
    path = stand.bundle / variant.files[0]
    if not inspection.can_inspect(path):
        note = (
            f"gates operators and precision: left out, since the library that reads {path.name} "
            'is not installed: pip install "minilm-toolkit[build]"'
        )
        return [note], dict(variant.operators)
    graph = inspection.inspect(path)
    kinds = sorted({*graph.operators, *variant.operators})
    differ = [k for k in kinds if graph.operators.get(k, 0) != variant.operators.get(k, 0)]
    detail = ", ".join(
        f"{k}: {graph.operators.get(k, 0)}, manifest {variant.operators.get(k, 0)}"
        for k in differ[:5]
    )
    worst = differ[0] if differ else ""
    results: list[GateResult | str] = [
        judge("operators", Measured(figure=len(differ), worst=worst, detail=detail), 0)
    ]
    threshold = thresholds.get("precision")
    if threshold is None:
        results.append("gate precision: switched off by the policy")
    else:
        share = graph.products.share(variant.precision)
        worst = graph.products.first_float if variant.precision == "int8" and share < 1 else ""
        detail = graph.products.sentence()
        results.append(
            judge("precision", Measured(figure=share, worst=worst, detail=detail), threshold)
        )
    return results, graph.operators
