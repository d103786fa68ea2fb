"""Gates of a bundle as a whole: its files, the reference, facts, golden vectors, tokenizer."""

from dataclasses import dataclass
from typing import Final

from minilm.runtime.manifest import Manifest
from minilm.verify.candidates import hf_config
from minilm.verify.candidates.bundle import CheckedBundle
from minilm.verify.gates.base import Gate, Measurement, NotMeasured
from minilm.verify.metrics import rowwise_cosine
from minilm.verify.reference.base import Reference
from minilm.verify.reference.baseline import Baseline, RejectedReference
from minilm.verify.reference.golden import GOLDEN_NAME, GoldenReference
from minilm.verify.results import shorten

__all__ = [
    "FACTS",
    "GOLDEN",
    "INTEGRITY",
    "REFERENCE",
    "TOKENIZER",
    "BundleMeasurements",
    "Fact",
    "Identity",
    "bundle_facts",
]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The bundle and the reference, before any text is embedded."""

    manifest: Manifest
    reference: Reference | RejectedReference


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One fact of the model from two sources.

    Attributes:
        name: Name of the fact ("max_tokens").
        ours: Value that the artifact states.
        where: Source of `ours` ("in the manifest").
        theirs: Value to compare with.
        elsewhere: Source of `theirs` ("of the original").
    """

    name: str
    ours: object
    where: str
    theirs: object
    elsewhere: str


@dataclass(frozen=True, kw_only=True)
class BundleMeasurements:
    """Everything that the gates of an artifact as a whole need.

    Attributes:
        facts: Facts of the model, each from two sources.
        baseline: The original.
        bundle: The bundle; None for another tool's directory.
    """

    facts: tuple[Fact, ...]
    baseline: Baseline
    bundle: CheckedBundle | None = None


def bundle_facts(bundle: CheckedBundle, baseline: Baseline) -> tuple[Fact, ...]:
    """Compare the manifest with the original, and with the files that other runtimes read.

    Raises:
        InvalidArtifact: A configuration beside the manifest cannot be read.
    """
    model, directory = bundle.manifest.model, bundle.directory
    original, files = "of the original", "in the bundle's files"
    facts = (
        ("dimension", model.dimension, baseline.vectors.shape[1], original),
        ("max_tokens", model.max_tokens, baseline.reference.max_tokens, original),
        ("max_tokens", model.max_tokens, hf_config.max_seq_length(directory), files),
        ("pooling", model.pooling, hf_config.pooling(directory), files),
        ("normalized", model.normalized, hf_config.normalized(directory), files),
        *(
            ("max_tokens", model.max_tokens, limit, f"in {file}")
            for file, limit in hf_config.tokenizer_limits(directory).items()
        ),
    )
    padding = Fact(
        name="padding",
        ours="BatchLongest",
        where="expected",
        theirs=hf_config.tokenizer_padding(directory),
        elsewhere="in tokenizer.json",
    )
    return (
        *(
            Fact(name=name, ours=ours, where="in the manifest", theirs=theirs, elsewhere=elsewhere)
            for name, ours, theirs, elsewhere in facts
        ),
        padding,
    )


def _integrity(identity: Identity) -> Measurement:
    # A file that differs has raised `InvalidArtifact` in `check_bundle`: nothing else is trusted.
    return Measurement(figure=0, detail=f"{len(identity.manifest.files)} files")


INTEGRITY: Final = Gate(
    name="integrity",
    comparison="==",
    meaning="files that are not as the manifest lists them",
    advice="copy or build the bundle again",
    measure=_integrity,
)


def _reference(identity: Identity) -> Measurement:
    reference, model = identity.reference, identity.manifest.model
    if isinstance(reference, RejectedReference):
        return Measurement(figure=1, worst=reference.name, detail=reference.reason)
    if reference.weights_sha256 == model.weights_sha256:
        return Measurement(figure=0, detail=f"weights {reference.weights_sha256[:12]}")
    detail = (
        f"the bundle was made from {model.id} with weights {model.weights_sha256[:12]}, "
        f"the reference has weights {reference.weights_sha256[:12]}"
    )
    return Measurement(figure=1, worst=reference.name, detail=detail)


REFERENCE: Final = Gate(
    name="reference",
    comparison="==",
    meaning="whether the reference has the weights that the manifest names (0: the same)",
    advice="name the original weights with --against, or rebuild the bundle from these",
    measure=_reference,
)


def _facts(measurements: BundleMeasurements) -> Measurement:
    differ = [fact for fact in measurements.facts if fact.ours != fact.theirs]
    detail = "; ".join(
        f"{fact.name}: {fact.ours} {fact.where}, {fact.theirs} {fact.elsewhere}" for fact in differ
    )
    return Measurement(figure=len(differ), worst=differ[0].name if differ else "", detail=detail)


FACTS: Final = Gate(
    name="facts",
    comparison="==",
    meaning="facts of the model in which manifest, original and the bundle's own files differ",
    advice="the manifest, or a configuration beside it, describes another model: build again",
    measure=_facts,
)


def _golden(measurements: BundleMeasurements) -> Measurement | NotMeasured | None:
    bundle, baseline = measurements.bundle, measurements.baseline
    if bundle is None:
        return None
    if baseline.reference.corpus is not None:
        return NotMeasured(
            "left out, since golden.npz is the reference itself: PyTorch is not installed here; "
            "the golden vectors are taken on trust"
        )
    if not any(entry.path == GOLDEN_NAME for entry in bundle.manifest.files):
        return NotMeasured(f"left out, since the bundle has no {GOLDEN_NAME}")
    golden = GoldenReference(bundle.directory)
    if golden.weights_sha256 != baseline.reference.weights_sha256:
        detail = f"recorded from other weights ({golden.weights_sha256[:12]})"
        return Measurement(figure=-1, detail=detail)
    texts = [sample.text for sample in golden.corpus]
    recorded, original = golden.encode(texts), baseline.vectors
    if texts != [sample.text for sample in baseline.samples]:
        original = baseline.reference.encode(texts)
    if recorded.shape != original.shape:
        detail = f"{recorded.shape[1]} dimensions, the reference has {original.shape[1]}"
        return Measurement(figure=-1, detail=detail)
    found = rowwise_cosine(recorded, original)
    return Measurement(figure=float(found.min()), worst=shorten(texts[int(found.argmin())]))


GOLDEN: Final = Gate(
    name="golden",
    comparison=">=",
    meaning="lowest cosine between golden.npz and the reference",
    advice="golden.npz does not hold the original's vectors: build the bundle again",
    measure=_golden,
    required=0.999999,
)


def _tokenizer(measurements: BundleMeasurements) -> Measurement:
    baseline = measurements.baseline
    worst = shorten(baseline.strays[0]) if baseline.strays else ""
    detail = f"of {baseline.tokenized} texts"
    return Measurement(figure=len(baseline.strays), worst=worst, detail=detail)


TOKENIZER: Final = Gate(
    name="tokenizer",
    comparison="==",
    meaning="texts that the bundle's tokenizer splits otherwise than the original's",
    advice="tokenizer.json is not the original's but for truncation and padding: build again",
    measure=_tokenizer,
)
