"""Anybody's conversion of a sentence-transformers model: a directory in the Hugging Face layout.

There is no manifest and no loader of ours: the directory's own configuration says how texts are cut
and pooled, and its graph is run as it stands.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from minilm.runtime.errors import BackendUnavailable, InvalidArtifact
from minilm.runtime.hardware.cpu import available_cores
from minilm.runtime.manifest import Variant
from minilm.verify import inspection, layout, sts
from minilm.verify.bench import Bench, corpus_note, judge_tokenizer, set_up
from minilm.verify.corpus_file import read_texts
from minilm.verify.environment import describe
from minilm.verify.gates import Measured, judge
from minilm.verify.graphs import Graph, named, open_graph, pad
from minilm.verify.judging import judge_subject
from minilm.verify.policy import BUILT_IN, Policy
from minilm.verify.ranking import unit
from minilm.verify.reference import PyTorchReference, Reference, Vectors, torch_installed
from minilm.verify.report import GateResult, Report, VariantReport
from minilm.verify.tokens import open_tokenizer
from minilm.verify.verification import Progress

__all__ = ["ForeignSubject", "find_graphs", "verify_foreign"]

_BATCH: Final = 32


def verify_foreign(  # noqa: PLR0913 - each is a choice of the caller's
    directory: Path,
    *,
    graphs: Sequence[str] | None = None,
    against: str | Reference | None = None,
    threads: int | None = None,
    policy: Policy = BUILT_IN,
    sts_file: Path | None = None,
    corpus_file: Path | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Hold graphs of a directory without a manifest against the original.

    Args:
        directory: has `tokenizer.json` and graphs, as Hugging Face repositories do.
        graphs: paths of ONNX files or OpenVINO IRs relative to it; None for all that are there.
        against: as for `verify_bundle`; there are no golden vectors here.
        threads: for the graphs; None for as many as there are cores to use.
        policy: thresholds; a graph counts as int8, fp16 or fp32 by how its weights are stored.
        sts_file: labelled sentence pairs, CSV or TSV.
        corpus_file: texts of one's own, as for `verify_bundle`.
        on_progress: gets a line before each step.

    Raises:
        InvalidArtifact: the directory, a graph or a configuration cannot be understood.
        SourceError: there is no such reference.
        BackendUnavailable: a backend or PyTorch is not installed.
    """
    started = time.perf_counter()
    say = on_progress or (lambda _: None)
    names = list(graphs) if graphs is not None else find_graphs(directory)
    subjects = [ForeignSubject(directory, name, threads=threads) for name in names]
    pairs = sts.read_pairs(sts_file) if sts_file else None
    own, used = read_texts(corpus_file) if corpus_file else (None, "")
    reference = _reference(against)
    say(f"embedding the corpus with {reference.name}")
    bench = set_up(directory, reference, own)
    gates = [_facts(subjects[0], bench), judge_tokenizer(bench)]
    reports: list[VariantReport] = []
    notes = ["gates integrity and reference: left out, since there is no manifest"]
    notes += [corpus_note(used)] if used else []
    if _dimension(subjects[0], bench) == bench.vectors.shape[1]:
        labelled = sts.label(reference, pairs) if pairs else None
        for subject in subjects:
            say(f"judging {subject.name}")
            rules = policy.thresholds(subject.kind)
            reports.append(judge_subject(subject, bench, rules, labelled))
    else:
        notes.append("no graph was judged: figures against another model mean nothing")
    return Report(
        artifact=directory.resolve().name,
        model=str(layout.read_json(directory, "config.json").get("_name_or_path", "unknown")),
        reference=reference.name,
        policy=policy.name,
        gates=tuple(gates),
        variants=tuple(reports),
        corpus=bench.infos(),
        notes=tuple(notes),
        environment=describe(),
        seconds=time.perf_counter() - started,
    )


def find_graphs(directory: Path) -> list[str]:
    """Paths of the ONNX files and OpenVINO IRs below `directory`, relative to it, in order.

    Raises:
        InvalidArtifact: there is no such directory, or nothing in it.
    """
    if not directory.is_dir():
        raise InvalidArtifact(f"{directory} is no directory")
    found = [path for kind in ("*.onnx", "*.xml") for path in directory.rglob(kind)]
    if not found:
        raise InvalidArtifact(
            f"{directory} is no model directory: no ONNX file and no OpenVINO IR is below it"
        )
    return sorted(path.relative_to(directory).as_posix() for path in found)


class ForeignSubject:
    """A graph of a directory in the Hugging Face layout.

    Attributes:
        name: path of the graph in the directory.
        kind: "target/precision", by the file and how it stores its weights.
        runs_on: how it runs.
        files: of the graph.
        promised: None: nobody promised anything.
        thread_counts: of `encode`, and another one.
        pooling: as `1_Pooling/config.json` says; "mean" without one.
        normalized: whether `modules.json` lists a Normalize module.
        limit: tokens that the directory's configuration says.
    """

    promised: Variant | None = None

    def __init__(self, directory: Path, file: str, *, threads: int | None = None) -> None:
        """Read the configuration; the graph is opened when it is first needed.

        Raises:
            InvalidArtifact: a file is missing or cannot be understood.
            BackendUnavailable: the library that reads such files is not installed.
        """
        path = directory / file
        if not path.is_file():
            has = ", ".join(find_graphs(directory))
            raise InvalidArtifact(f"{directory} has no graph {file!r}; it has: {has}")
        if not inspection.can_inspect(path):
            raise BackendUnavailable(
                f"the library that reads {path.name} is not installed: "
                'pip install "minilm-toolkit[build]"'
            )
        precision = _precision(inspection.inspect(path).products)
        self.name = file
        self.kind = f"{'cpu' if path.suffix == '.onnx' else 'openvino'}/{precision}"
        self.files = [path, *_weights_of(path)]
        ours = threads or available_cores()[0]
        self.thread_counts = (ours, 2 if ours == 1 else 1)
        self.pooling = layout.pooling(directory)
        self.normalized = layout.normalized(directory)
        self.limit = layout.limit(directory)
        self.runs_on = (
            f"{file}, as it stands, in batches of {_BATCH}: {self.pooling} pooling, "
            f"cut at {self.limit} tokens, {ours} threads"
        )
        self._tokenizer = open_tokenizer(directory)
        self._tokenizer.enable_truncation(self.limit)
        self._fill = int(self._tokenizer.token_to_id("[PAD]") or 0)
        self._graph: Graph | None = None

    def encode(self, texts: Sequence[str], *, batch_size: int | None = None) -> Vectors:
        """Vectors: float32, (texts, dimension), of unit length."""
        self._graph = self._graph or open_graph(self.files[0], threads=self.thread_counts[0])
        rows = [list(self._tokenizer.encode(text.strip()).ids) for text in texts]
        order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
        size = batch_size or _BATCH
        found: dict[int, Vectors] = {}
        for start in range(0, len(order), size):
            places = order[start : start + size]
            block = pad([rows[place] for place in places], fill=self._fill)
            outputs = named(self._graph.run(*block), self.name)
            vectors = outputs.pooled(block[1], self.pooling)
            found |= dict(zip(places, unit(vectors), strict=True))
        return np.asarray([found[place] for place in range(len(rows))], dtype=np.float32)

    def open_graph(self) -> Graph:
        """The graph, by another number of threads than in `encode`."""
        return open_graph(self.files[0], threads=self.thread_counts[1])

    def close(self) -> None:
        """Let go of the graph."""
        if self._graph is not None:
            self._graph.close()
            self._graph = None


def _reference(against: str | Reference | None) -> Reference:
    if against is not None and not isinstance(against, str):
        return against
    if not torch_installed():
        raise BackendUnavailable(
            "a directory without golden vectors is compared with PyTorch, which is not installed: "
            'pip install "minilm-toolkit[build]"'
        )
    return PyTorchReference(against)


def _dimension(subject: ForeignSubject, bench: Bench) -> int:
    return int(subject.encode([bench.samples[0].text]).shape[1])


def _facts(subject: ForeignSubject, bench: Bench) -> GateResult:
    facts = {
        "dimension": (_dimension(subject, bench), bench.vectors.shape[1]),
        "max_tokens": (subject.limit, bench.reference.max_tokens),
    }
    differ = {name: pair for name, pair in facts.items() if pair[0] != pair[1]}
    detail = "; ".join(f"{name}: {a} here, {b} of the original" for name, (a, b) in differ.items())
    worst = next(iter(differ), "")
    return judge("facts", Measured(figure=len(differ), worst=worst, detail=detail), 0)


def _precision(products: inspection.Products) -> str:
    """By storage, so that int8 storage without int8 arithmetic fails the gate "precision"."""
    stored = [kept for _, kept in products.kinds]
    if any(kept.endswith("int8") for kept in stored):
        return "int8"
    return "fp16" if stored and all(kept == "float16" for kept in stored) else "fp32"


def _weights_of(path: Path) -> list[Path]:
    beside = [path.with_suffix(".bin"), path.with_name(f"{path.name}_data")]
    return [other for other in beside if other.is_file()]
