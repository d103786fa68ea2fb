"""The baseline: the original's tokens and vectors, with which every candidate is compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from minilm.runtime.errors import BackendUnavailable
from minilm.runtime.manifest import MANIFEST_NAME
from minilm.verify.reference.base import Reference, Vectors
from minilm.verify.reference.corpus import (
    CustomCorpus,
    Sample,
    build_corpus,
    representative_subset,
)
from minilm.verify.reference.golden import GOLDEN_NAME, GoldenReference
from minilm.verify.reference.pytorch import PyTorchReference, torch_installed
from minilm.verify.reference.sts_pairs import SentencePair, StsBaseline, score_pairs
from minilm.verify.results import TextInfo, shorten
from minilm.verify.tokenizer import TokenizedCorpus, open_tokenizer, token_counter

__all__ = [
    "Baseline",
    "RejectedReference",
    "build_baseline",
    "load_original",
    "resolve_reference",
]


@dataclass(frozen=True, kw_only=True)
class RejectedReference:
    """A reference that must not be used.

    Attributes:
        name: Name or path as it was given.
        reason: Sentence without a full stop.
    """

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The original's side of the comparison.

    Attributes:
        reference: The original.
        samples: Texts that are embedded.
        vectors: The original's vectors, float32, (texts, dimension).
        tokens: The same texts, as the artifact's tokenizer splits them.
        strays: Texts, embedded or not, that the artifact's tokenizer splits differently from the
            original's.
        tokenized: Number of texts that were compared so.
        sts: Labelled pairs; None without any.
        remarks: Restrictions for the report, one sentence each.
    """

    reference: Reference
    samples: tuple[Sample, ...]
    vectors: Vectors
    tokens: TokenizedCorpus
    strays: tuple[str, ...]
    tokenized: int
    sts: StsBaseline | None = None
    remarks: tuple[str, ...] = ()

    def infos(self) -> tuple[TextInfo, ...]:
        """Describe the corpus for a report."""
        return tuple(
            TextInfo(text=shorten(sample.text), category=sample.category, tokens=length)
            for sample, length in zip(self.samples, self.tokens.lengths, strict=True)
        )


def resolve_reference(against: str | None, bundle: Path) -> Reference | RejectedReference:
    """Load the reference that a name stands for.

    Args:
        against: A directory, a Hub id, or None for the default model.
        bundle: The bundle to verify: its golden vectors stand in for the default model where
            PyTorch is not installed.

    Returns:
        The reference, or for another bundle the reason why it cannot be one.

    Raises:
        SourceError: There are no such weights.
        BackendUnavailable: PyTorch is needed and not installed.
        InvalidArtifact: The golden vectors are needed and cannot be read.
    """
    if against is None and not torch_installed():
        return GoldenReference(bundle)
    if against is not None and (Path(against) / MANIFEST_NAME).is_file():
        other = "itself" if Path(against).resolve() == bundle.resolve() else "another bundle"
        reason = f"{against} is {other}: an artifact cannot vouch for an artifact"
        return RejectedReference(name=against, reason=reason)
    return PyTorchReference(against)


def load_original(against: str | None) -> Reference:
    """Load the original for a directory without golden vectors.

    Args:
        against: A directory, a Hub id, or None for the default model.

    Raises:
        SourceError: There are no such weights.
        BackendUnavailable: PyTorch is not installed.
    """
    if not torch_installed():
        raise BackendUnavailable(
            "a directory without golden vectors is compared with PyTorch, which is not installed: "
            'pip install "minilm-toolkit[build]"'
        )
    return PyTorchReference(against)


def build_baseline(
    directory: Path,
    reference: Reference,
    *,
    corpus: CustomCorpus | None = None,
    pairs: Sequence[SentencePair] | None = None,
) -> Baseline:
    """Embed the corpus with the original and tokenize it as the artifact does.

    Args:
        directory: The artifact's; has `tokenizer.json`.
        reference: The original.
        corpus: Texts in place of the built-in corpus's written ones.
        pairs: Labelled pairs for the gate "sts-drop".

    Raises:
        BackendUnavailable: `corpus` is given, and the reference knows only its own texts.
        InvalidArtifact: There is no usable tokenizer.
    """
    limit, recorded = reference.max_tokens, reference.corpus
    if recorded is None:
        written = corpus.samples if corpus else None
        samples = build_corpus(limit, token_counter(directory), written)
    elif corpus is None:
        samples = recorded
    else:
        raise BackendUnavailable(
            f"a corpus of one's own needs the original, {GOLDEN_NAME} knows only its own texts: "
            'pip install "minilm-toolkit[build]"'
        )
    texts = [sample.text for sample in samples]
    tokens = TokenizedCorpus(open_tokenizer(directory), texts, limit)
    rows = zip(texts, tokens.ids, reference.token_ids(texts), strict=True)
    chosen = list(range(len(texts)))
    remarks = []
    if recorded is not None:
        chosen = representative_subset(tokens.lengths, limit)
        remarks.append(_subset_remark(len(chosen), len(texts)))
    if corpus and corpus.description:
        remarks.append(
            f"the built-in corpus: left out for {corpus.description}; its texts around the "
            "model's limit stay"
        )
    return Baseline(
        reference=reference,
        samples=tuple(samples[index] for index in chosen),
        vectors=reference.encode([texts[index] for index in chosen]),
        tokens=tokens.subset(chosen),
        strays=tuple(text for text, ours, theirs in rows if ours != theirs),
        tokenized=len(texts),
        sts=score_pairs(reference, pairs) if pairs else None,
        remarks=tuple(remarks),
    )


def _subset_remark(embedded: int, known: int) -> str:
    return (
        f"{GOLDEN_NAME} has {known} texts: all tokenized, {embedded} embedded (the short ones, "
        "those around the model's limit, every sixth of the others); with PyTorch all are"
    )
