"""Graphs alone, on equal token ids, in turn: what sessions cost without a loader around them."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from minilm.runtime.errors import InvalidArtifact, UsageError
from minilm.runtime.hardware.cpu import available_cores
from minilm.runtime.manifest import VARIANTS

from benchmarks.harness.environments import MODELS
from benchmarks.reporting import machine
from benchmarks.reporting.markdown import heading, markdown
from benchmarks.reporting.statistics import half_range, median_of

__all__ = ["SHAPES", "default_graphs", "measure", "run", "tables"]

SHAPES: Final = ((32, 16), (8, 256), (1, 16))
"""Batch and tokens of what each graph is given."""

_BASIC: Final = ":basic"
"""Behind a name: no more graph optimization than the loader asks of ONNX Runtime."""
_PEER: Final = MODELS / "onnx" / "onnx" / "model_qint8_avx512_vnni.onnx"
_SENTENCE: Final = "sentence_embedding"

Array = npt.NDArray[np.int64]
Run = Callable[[], Any]
Seconds = Mapping[tuple[str, tuple[int, int]], Sequence[float]]


def run(names: Sequence[str], bundle: Path, rounds: int, output: Path) -> str:
    """Measure the graphs, or the bundle's beside sentence-transformers'; write and give the report.

    Raises:
        UsageError: a file is neither ONNX nor an OpenVINO IR.
        InvalidArtifact: a file is missing.
    """
    chosen = list(names) or default_graphs(bundle)
    threads = available_cores()[0]
    facts = [*machine.describe().items(), ("threads", str(threads)), ("rounds", str(rounds))]
    text = heading("Graphs alone", facts) + "\n" + tables(measure(chosen, threads, rounds))
    output.mkdir(parents=True, exist_ok=True)
    (output / "graphs.md").write_text(text, encoding="utf-8")
    return text


def default_graphs(bundle: Path) -> list[str]:
    """sentence-transformers' int8 graph, if it has been made, and the bundle's for CPUs."""
    ours = [bundle / VARIANTS[name][0] for name in VARIANTS if not name.startswith("cuda")]
    named = [f"{path}{_BASIC if path.suffix == '.onnx' else ''}" for path in ours if path.is_file()]
    return [str(_PEER), *named] if _PEER.is_file() else named


def measure(names: Sequence[str], threads: int, rounds: int) -> Seconds:
    """Seconds of every run of every graph and shape.

    Args:
        names: files; ":basic" behind an ONNX file limits its optimization.
        threads: for each session.
        rounds: runs that are counted.

    Raises:
        UsageError: a file is neither ONNX nor an OpenVINO IR.
        InvalidArtifact: a file is missing.
    """
    seconds: dict[tuple[str, tuple[int, int]], list[float]] = {}
    for shape in SHAPES:
        ids = np.random.default_rng(0).integers(1000, 20000, shape)
        runs = {name: _open(name, threads, ids) for name in names}
        # Long batches take long, and vary less.
        for number in range(rounds if shape[1] < 100 else -(-rounds // 3)):
            order = list(runs) if number % 2 == 0 else list(reversed(runs))
            for name in order:
                # Not counted: the last session's threads come to rest, caches fill again.
                runs[name]()
                before = time.perf_counter()
                runs[name]()
                seconds.setdefault((name, shape), []).append(time.perf_counter() - before)
    return seconds


def tables(seconds: Seconds) -> str:
    """Tokens a second by graph and shape, then each graph's speed over each other's."""
    names = list(dict.fromkeys(name for name, _ in seconds))
    rates = {
        (name, shape): shape[0] * shape[1] / (median_of(values) or 1.0)
        for (name, shape), values in seconds.items()
    }
    rows = [
        [
            _short(name),
            *(
                f"{rates[name, shape] / 1e3:.1f}k ± {half_range(seconds[name, shape]) or 0:.0%}"
                for shape in SHAPES
            ),
        ]
        for name in names
    ]
    columns = ["tokens/s", *(f"{batch} x {tokens}" for batch, tokens in SHAPES)]
    pairs = [
        [
            _short(name),
            *(
                " / ".join(f"{rates[name, s] / rates[other, s]:.2f}" for s in SHAPES)
                for other in names
            ),
        ]
        for name in names
    ]
    ratios = markdown(["row ÷ column, same shapes", *map(_short, names)], pairs)
    return f"{markdown(columns, rows)}\n{ratios}"


def _open(name: str, threads: int, ids: Array) -> Run:
    path = Path(name.removesuffix(_BASIC))
    if not path.is_file():
        raise InvalidArtifact(f"no graph at {path}: expected a file")
    if path.suffix == ".onnx":
        return _open_onnx(path, threads, ids, basic=name.endswith(_BASIC))
    if path.suffix == ".xml":
        return _open_openvino(path, threads, ids)
    raise UsageError(f"{path} is neither an ONNX file nor an OpenVINO IR (.onnx, .xml)")


def _open_onnx(path: Path, threads: int, ids: Array, *, basic: bool) -> Run:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    if basic:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feed = _feed([item.name for item in session.get_inputs()], ids)
    outputs = [item.name for item in session.get_outputs()]
    wanted = [_SENTENCE if _SENTENCE in outputs else outputs[0]]
    return lambda: session.run(wanted, feed)


def _open_openvino(path: Path, threads: int, ids: Array) -> Run:
    """An IR on one static shape: OpenVINO is slower on dynamic ones."""
    import openvino as ov

    core = ov.Core()
    model = core.read_model(str(path))
    model.reshape({port: list(ids.shape) for port in model.inputs})
    request = core.compile_model(
        model, "CPU", {"INFERENCE_NUM_THREADS": threads}
    ).create_infer_request()
    feed = _feed([port.get_any_name() for port in model.inputs], ids)
    return lambda: request.infer(feed)


def _feed(inputs: Sequence[str], ids: Array) -> dict[str, Array]:
    every = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }
    return {name: every[name] for name in inputs}


def _short(name: str) -> str:
    path = Path(name.removesuffix(_BASIC))
    return f"{path.parent.name}/{path.name}"
