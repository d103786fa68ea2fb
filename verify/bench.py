"""What every variant of a bundle is held against, and the gates of the bundle as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from minilm.runtime.errors import BackendUnavailable
from minilm.runtime.manifest import MANIFEST_NAME, Manifest
from minilm.verify import corpus, layout
from minilm.verify.gates import Measured, judge
from minilm.verify.golden import GOLDEN_NAME, GoldenReference
from minilm.verify.ranking import cosines
from minilm.verify.reference import PyTorchReference, Reference, Vectors, torch_installed
from minilm.verify.report import GateResult, TextInfo, shorten
from minilm.verify.tokens import counter, open_tokenizer
from minilm.verify.trial import Tokens

__all__ = ["Bench", "corpus_note", "identify", "judge_bundle", "judge_tokenizer", "set_up"]

_GOLDEN_MIN: Final = 0.999999


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What every variant is held against.

    Attributes:
        samples: the texts that are embedded.
        reference: the original.
        vectors: the original's, float32, (texts, dimension).
        tokens: of these texts, as the bundle's tokenizer splits them.
        strays: texts, embedded or not, that the bundle's tokenizer splits otherwise than the
            original's.
        tokenized: texts that were compared so.
        note: what was left out, and why; empty if nothing was.
    """

    samples: tuple[corpus.Sample, ...]
    reference: Reference
    vectors: Vectors
    tokens: Tokens
    strays: tuple[str, ...]
    tokenized: int
    note: str = ""

    def infos(self) -> tuple[TextInfo, ...]:
        """The corpus for a report."""
        return tuple(
            TextInfo(text=shorten(sample.text), category=sample.category, tokens=length)
            for sample, length in zip(self.samples, self.tokens.lengths, strict=True)
        )


def identify(
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


def set_up(bundle: Path, reference: Reference, own: Sequence[str] | None = None) -> Bench:
    """Embed the corpus with the original and tokenize it as the bundle does.

    Args:
        bundle: has the tokenizer.
        reference: the original.
        own: texts in place of the built-in corpus's written ones.

    Raises:
        BackendUnavailable: golden vectors cannot vouch for texts of one's own.
        InvalidArtifact: there is no usable tokenizer.
    """
    limit, trusted = reference.max_tokens, isinstance(reference, GoldenReference)
    if not isinstance(reference, GoldenReference):
        samples = corpus.samples(limit, counter(bundle), own)
    elif own is None:
        samples = reference.samples
    else:
        raise BackendUnavailable(
            f"a corpus of one's own needs the original, {GOLDEN_NAME} knows only its own texts: "
            'pip install "minilm-toolkit[build]"'
        )
    texts = [sample.text for sample in samples]
    tokens = Tokens(open_tokenizer(bundle), texts, limit)
    pairs = zip(texts, tokens.ids, reference.token_ids(texts), strict=True)
    chosen = corpus.brief(tokens.lengths, limit) if trusted else list(range(len(texts)))
    return Bench(
        samples=tuple(samples[place] for place in chosen),
        reference=reference,
        vectors=reference.encode([texts[place] for place in chosen]),
        tokens=tokens.at(chosen),
        strays=tuple(text for text, ours, theirs in pairs if ours != theirs),
        tokenized=len(texts),
        note=_brief_note(len(chosen), len(texts)) if trusted else "",
    )


def _brief_note(embedded: int, known: int) -> str:
    return (
        f"{GOLDEN_NAME} has {known} texts: all tokenized, {embedded} embedded (the short ones, "
        "those around the model's limit, every sixth of the others); with PyTorch all are"
    )


def corpus_note(used: str) -> str:
    """What a report says of a corpus of the user's own."""
    return f"the built-in corpus: left out for {used}; its texts around the model's limit stay"


def judge_bundle(
    bundle: Path, manifest: Manifest, bench: Bench
) -> tuple[list[GateResult], list[str]]:
    """Gates of the bundle as a whole, and notes on those that were left out."""
    gates, notes = [_facts_gate(bundle, manifest, bench)], []
    if isinstance(bench.reference, GoldenReference):
        notes.append(
            "gate golden: left out, since golden.npz is the reference itself: PyTorch is not "
            "installed here; the golden vectors are taken on trust"
        )
        notes.append(bench.note)
    elif any(entry.path == GOLDEN_NAME for entry in manifest.files):
        gates.append(_golden_gate(bundle, bench))
    else:
        notes.append(f"gate golden: left out, since the bundle has no {GOLDEN_NAME}")
    gates.append(judge_tokenizer(bench))
    return gates, notes


def judge_tokenizer(bench: Bench) -> GateResult:
    """The gate "tokenizer": the same token ids as the original's, text by text."""
    worst = shorten(bench.strays[0]) if bench.strays else ""
    detail = f"of {bench.tokenized} texts"
    return judge("tokenizer", Measured(figure=len(bench.strays), worst=worst, detail=detail), 0)


def _facts_gate(bundle: Path, manifest: Manifest, bench: Bench) -> GateResult:
    model, original, files = manifest.model, "of the original", "in the bundle's files"
    # Other runtimes read those files, and would cut and pool by them.
    facts = [
        ("dimension", model.dimension, bench.vectors.shape[1], original),
        ("max_tokens", model.max_tokens, bench.reference.max_tokens, original),
        ("max_tokens", model.max_tokens, layout.limit(bundle), files),
        ("pooling", model.pooling, layout.pooling(bundle), files),
        ("normalized", model.normalized, layout.normalized(bundle), files),
    ]
    differ = [fact for fact in facts if fact[1] != fact[2]]
    detail = "; ".join(
        f"{name}: {ours} in the manifest, {theirs} {where}" for name, ours, theirs, where in differ
    )
    worst = differ[0][0] if differ else ""
    return judge("facts", Measured(figure=len(differ), worst=worst, detail=detail), 0)


def _golden_gate(bundle: Path, bench: Bench) -> GateResult:
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
