"""What changed between two bundles, or two variants: files, operators, sizes, parity, speed."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from minilm.runtime import integrity
from minilm.runtime.display import markdown_text
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.manifest import Manifest, read
from minilm.verify.bundle import Progress
from minilm.verify.candidates.bundle import BundleCandidate
from minilm.verify.metrics import rowwise_cosine
from minilm.verify.reference.corpus import build_corpus
from minilm.verify.reference.golden import GOLDEN_NAME, GoldenReference
from minilm.verify.reports.formatting import format_size
from minilm.verify.results import Parity
from minilm.verify.tokenizer import token_counter

__all__ = ["Comparison", "FileChange", "VariantChange", "compare"]

_ROUNDS: Final = 3


@dataclass(frozen=True, kw_only=True)
class FileChange:
    """A file that differs: bytes before and after, None where it is not there."""

    path: str
    before_bytes: int | None
    after_bytes: int | None

    @property
    def sides(self) -> tuple[str, str]:
        """What a reader should see of it before and after."""
        if self.before_bytes == self.after_bytes:
            return _bytes(self.before_bytes), "other content"
        return _bytes(self.before_bytes), _bytes(self.after_bytes)


@dataclass(frozen=True, kw_only=True)
class VariantChange:
    """One pair of variants.

    Attributes:
        before: name in the first bundle.
        after: name in the second.
        operators: type to (count before, count after), those that differ.
        before_bytes: size of the files before.
        after_bytes: size of the files after.
        between: cosines of the second's vectors to the first's.
        parity_before: cosines of the first to the original; None without golden vectors.
        parity_after: of the second.
        speed: texts per second after, as a multiple of before: best of three rounds each, in turn.
    """

    before: str
    after: str
    operators: Mapping[str, tuple[int, int]]
    before_bytes: int
    after_bytes: int
    between: Parity
    parity_before: Parity | None
    parity_after: Parity | None
    speed: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two bundles side by side.

    Attributes:
        before: name of the first bundle's directory.
        after: of the second.
        files: those that differ.
        variants: pairs that were compared.
        missing: variants that only one of the bundles has, with which one.
    """

    before: str
    after: str
    files: tuple[FileChange, ...]
    variants: tuple[VariantChange, ...]
    missing: tuple[str, ...]

    def to_json(self) -> str:
        """JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"

    def to_markdown(self) -> str:
        """Markdown for a pull request."""
        lines = [
            f"## {markdown_text(self.before)} → {markdown_text(self.after)}",
            "",
            "| variant | size | parity min | between min | speed | operators changed |",
            "|---|---|---|---|---|---|",
            *(_row(change) for change in self.variants),
            "",
        ]
        lines += [f"- {markdown_text(line)}" for line in self.missing]
        if self.files:
            lines += ["", "| file | before | after |", "|---|---|---|"]
            lines += [f"| {markdown_text(f.path)} | {' | '.join(f.sides)} |" for f in self.files]
        else:
            lines.append("Every file is the same.")
        return "\n".join(lines) + "\n"


def compare(
    before: Path,
    after: Path,
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    threads: int | None = None,
    on_progress: Progress | None = None,
) -> Comparison:
    """Compare two bundles, or two variants of one.

    Args:
        before: a bundle.
        after: a bundle; may be the same.
        pairs: names of variants before and after; None for all names that both have.
        threads: for the loader.
        on_progress: gets a line before each step.

    Raises:
        InvalidArtifact: a bundle is damaged, has no such variant, or the two share none.
        BackendUnavailable: a variant cannot run here.
    """
    say = on_progress or (lambda _: None)
    manifests = [read(bundle) for bundle in (before, after)]
    names = [[variant.name for variant in manifest.variants] for manifest in manifests]
    chosen = list(pairs) if pairs is not None else [(n, n) for n in names[0] if n in names[1]]
    for pair in chosen:
        for manifest, name in zip(manifests, pair, strict=True):
            manifest.variant(name)
    if not chosen:
        raise InvalidArtifact(
            f"{before} and {after} share no variant: {', '.join(names[0])} against "
            f"{', '.join(names[1])}"
        )
    for bundle, manifest in zip((before, after), manifests, strict=True):
        say(f"checking files of {bundle.name}")
        integrity.check(bundle, manifest, "full")
    changes = []
    for pair in chosen:
        say(f"comparing {' with '.join(dict.fromkeys(pair))}")
        changes.append(_compare_pair((before, after), manifests, pair, threads))
    missing = [f"{n} is only in {before.name}" for n in names[0] if n not in names[1]]
    missing += [f"{n} is only in {after.name}" for n in names[1] if n not in names[0]]
    return Comparison(
        before=before.resolve().name,
        after=after.resolve().name,
        files=_compare_files(*manifests),
        variants=tuple(changes),
        missing=tuple(missing) if pairs is None else (),
    )


def _compare_files(before: Manifest, after: Manifest) -> tuple[FileChange, ...]:
    ours, theirs = ({f.path: f for f in manifest.files} for manifest in (before, after))
    return tuple(
        FileChange(
            path=path,
            before_bytes=ours[path].bytes if path in ours else None,
            after_bytes=theirs[path].bytes if path in theirs else None,
        )
        for path in sorted({*ours, *theirs})
        if ours.get(path) != theirs.get(path)
    )


def _compare_pair(
    bundles: Sequence[Path],
    manifests: Sequence[Manifest],
    pair: Sequence[str],
    threads: int | None,
) -> VariantChange:
    counts = [dict(m.variant(name).operators) for m, name in zip(manifests, pair, strict=True)]
    candidates = [
        BundleCandidate(bundle, manifest, name, threads=threads)
        for bundle, manifest, name in zip(bundles, manifests, pair, strict=True)
    ]
    try:
        limit = manifests[0].model.max_tokens
        texts = [sample.text for sample in build_corpus(limit, token_counter(bundles[0]))]
        vectors = [candidate.encode(texts) for candidate in candidates]
        if vectors[0].shape != vectors[1].shape:
            raise InvalidArtifact(
                f"the bundles give {vectors[0].shape[1]} and {vectors[1].shape[1]} dimensions"
            )
        best = [float("inf")] * 2
        for _ in range(_ROUNDS):
            for place, candidate in enumerate(candidates):
                best[place] = min(best[place], _seconds(candidate, texts))
        parities = [
            _parity(candidate, bundle, manifest)
            for candidate, bundle, manifest in zip(candidates, bundles, manifests, strict=True)
        ]
        sizes = [sum(path.stat().st_size for path in candidate.files) for candidate in candidates]
    finally:
        for candidate in candidates:
            candidate.close()
    return VariantChange(
        before=pair[0],
        after=pair[1],
        operators={
            kind: (counts[0].get(kind, 0), counts[1].get(kind, 0))
            for kind in sorted({*counts[0], *counts[1]})
            if counts[0].get(kind, 0) != counts[1].get(kind, 0)
        },
        before_bytes=sizes[0],
        after_bytes=sizes[1],
        between=Parity.of(rowwise_cosine(vectors[1], vectors[0]).tolist()),
        parity_before=parities[0],
        parity_after=parities[1],
        speed=best[0] / best[1],
    )


def _seconds(candidate: BundleCandidate, texts: Sequence[str]) -> float:
    started = time.perf_counter()
    candidate.encode(texts)
    return time.perf_counter() - started


def _parity(candidate: BundleCandidate, bundle: Path, manifest: Manifest) -> Parity | None:
    if not any(entry.path == GOLDEN_NAME for entry in manifest.files):
        return None
    golden = GoldenReference(bundle)
    texts = [sample.text for sample in golden.corpus]
    return Parity.of(rowwise_cosine(candidate.encode(texts), golden.encode(texts)).tolist())


def _row(change: VariantChange) -> str:
    name = markdown_text(" → ".join(dict.fromkeys((change.before, change.after))))
    parity = [
        "unknown" if parity is None else f"{parity.minimum:.6f}"
        for parity in (change.parity_before, change.parity_after)
    ]
    operators = ", ".join(
        f"{markdown_text(kind)} {a} → {b}" for kind, (a, b) in change.operators.items()
    )
    return (
        f"| {name} | {format_size(change.before_bytes)} → {format_size(change.after_bytes)} "
        f"| {parity[0]} → {parity[1]} | {change.between.minimum:.6f} "
        f"| {change.speed:.2f}x | {operators or 'none'} |"
    )


def _bytes(count: int | None) -> str:
    return "absent" if count is None else f"{count:,} B"
