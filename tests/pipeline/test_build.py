"""Whole builds: what is in a bundle, what fails, and that the bytes are the same again."""

# Over 300 lines: builds are dear, and these share theirs.

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minilm.convert import resolve
from minilm.pipeline import BuildOptions, build
from minilm.pipeline import output as output_module
from minilm.runtime import load
from minilm.runtime.errors import BuildFailed, GateFailed, SourceError, UsageError
from minilm.runtime.manifest import VARIANTS, FileEntry, Manifest, read
from minilm.verify.reference.corpus import corpus_texts

from tests.support.tiny_model import DIMENSION, MAX_TOKENS, write_tiny_model

build_module = importlib.import_module("minilm.pipeline.build")  # the package has the function

TOOLKIT = str(Path(sys.executable).with_name("toolkit"))


def contents(bundle: Path) -> dict[str, bytes]:
    """Every file that the manifest covers, and the manifest."""
    paths = [file.path for file in read(bundle).files]
    return {path: (bundle / path).read_bytes() for path in ["manifest.json", *paths]}


def toolkit(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TOOLKIT, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_bundle_has_what_the_manifest_says(bundle: Path) -> None:
    manifest = read(bundle)
    assert [variant.name for variant in manifest.variants] == list(VARIANTS)
    covered = {file.path for file in manifest.files}
    found = {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()}
    assert found == covered | {"manifest.json"}
    assert "report/report.json" not in covered
    assert {"LICENSE", "README.md", "golden.npz", "tokenizer.json", "vocab.txt"} <= covered
    assert set(manifest.originals) == {"tokenizer.json", "tokenizer_config.json"}


def test_int8_is_small_and_int8_throughout(bundle: Path) -> None:
    manifest = read(bundle)
    operators = manifest.variant("cpu/int8").operators
    # Q, K and V are one product: 24 for the encoder's 36 linear layers. The one left pools.
    assert operators["com.microsoft.MatMulIntegerToFloat"] == 24
    assert operators["MatMul"] == 1
    assert operators["DequantizeLinear"] == 1
    size = {file.path: file.bytes for file in manifest.files}["onnx/model_int8.onnx"]
    assert size <= 24_000_000


def test_fp32_is_fused_but_for_what_is_slow_on_cpu(bundle: Path) -> None:
    operators = read(bundle).variant("cpu/fp32").operators
    assert operators["com.microsoft.Attention"] == 6
    assert operators["com.microsoft.BiasGelu"] == 6
    assert "com.microsoft.SkipLayerNormalization" not in operators


def test_manifest_names_no_place_and_no_time(bundle: Path) -> None:
    text = (bundle / "manifest.json").read_text("utf-8")
    assert str(Path.home()) not in text
    assert str(bundle) not in text
    assert json.loads(text)["toolchain"]["torch"]


def test_sentence_transformers_loads_the_bundle(bundle: Path) -> None:
    from sentence_transformers import SentenceTransformer

    texts = ["a cat", "a much longer text about cats and dogs", ""]
    theirs = SentenceTransformer(
        str(bundle),
        backend="onnx",
        model_kwargs={"file_name": "onnx/model.onnx", "provider": "CPUExecutionProvider"},
        local_files_only=True,
    ).encode(texts)
    ours = load(bundle, target="cpu", precision="fp32").encode(texts)
    np.testing.assert_allclose(theirs, ours, atol=1e-5)


def test_other_architecture_goes_through(tiny_bundle: Path) -> None:
    manifest = read(tiny_bundle)
    assert (manifest.model.dimension, manifest.model.max_tokens) == (DIMENSION, MAX_TOKENS)
    assert manifest.model.pooling == "cls"
    for name in VARIANTS:
        target, precision = name.split("/")
        provider = "CPUExecutionProvider" if target == "cuda" else None
        encoder = load(tiny_bundle, target=target, precision=precision, provider=provider)
        assert encoder.encode("a cat").shape == (DIMENSION,)


@pytest.mark.parametrize(("pooling", "normalized"), [("mean", True), ("mean", False)])
def test_mean_pooling_with_and_without_norm(
    tmp_path: Path, pooling: str, *, normalized: bool
) -> None:
    model = write_tiny_model(tmp_path / "model", pooling=pooling, normalized=normalized)
    options = BuildOptions(
        model=str(model), output=tmp_path / "bundle", cache_dir=tmp_path / "cache"
    )
    summary = build(options)
    assert summary.report is not None
    assert summary.report.passed
    written = json.loads((options.output / "report" / "report.json").read_text("utf-8"))
    assert written["artifact"] == "bundle"
    assert written["command"] == f"toolkit verify {options.output} --against {model}"


# Kernels of other processors: NumPy's and OpenBLAS's, PyTorch's, MKL's.
OLDEST_KERNELS = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
}
AVX2_KERNELS = {
    "OPENBLAS_CORETYPE": "Haswell",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "AVX2",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}


def test_same_bytes_from_another_process_and_with_kernels_of_another_processor(
    tiny_model: Path, tmp_path: Path
) -> None:
    """Verified builds, card and golden vectors included, with nothing shared but the weights."""
    bundles = []
    for number, kernels in enumerate([{}, OLDEST_KERNELS]):
        threads = str(number + 1)
        output = tmp_path / f"place-{number}" / "bundle"
        done = toolkit(
            *("build", "--model", str(tiny_model), "--output", str(output), "--fresh"),
            PYTHONHASHSEED=threads,
            OMP_NUM_THREADS=threads,
            OPENBLAS_NUM_THREADS=threads,
            MINILM_CACHE=str(tmp_path / f"cache-{number}"),
            **kernels,
        )
        assert done.returncode == 0, done.stderr
        bundles.append(contents(output))
    assert bundles[0] == bundles[1]


def test_same_bytes_of_the_real_model_with_avx2_kernels(bundle: Path, tmp_path: Path) -> None:
    done = toolkit(
        *("build", "--output", str(tmp_path / "again"), "--fresh", "--no-verify"),
        PYTHONHASHSEED="7",
        OMP_NUM_THREADS="1",
        OPENBLAS_NUM_THREADS="1",
        MINILM_CACHE=str(tmp_path / "cache"),
        **AVX2_KERNELS,
    )
    assert done.returncode == 0, done.stderr
    first, second = contents(bundle), contents(tmp_path / "again")
    assert [path for path in first if first[path] != second.get(path)] == []


def test_second_build_reuses_stages(
    tiny_bundle: Path, tiny_model: Path, tiny_cache: Path, tmp_path: Path
) -> None:
    options = BuildOptions(
        model=str(tiny_model), output=tmp_path / "bundle", cache_dir=tiny_cache, verify=False
    )
    reused = {stage.name for stage in build(options).stages if stage.reused}
    assert reused == {"export", *VARIANTS}
    assert contents(tmp_path / "bundle") == contents(tiny_bundle)
    calibrated = replace(options, calibration=corpus_texts()[:200])
    reused = {stage.name for stage in build(calibrated).stages if stage.reused}
    assert reused == {"export", "cpu/fp32", "openvino/bf16", "cuda/fp16"}


def test_other_layer_norm_is_another_graph(
    tiny_bundle: Path, tiny_model: Path, tiny_cache: Path, tmp_path: Path
) -> None:
    """The same weights, tokenizer and sizes; a number that only `config.json` has."""
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    config = json.loads((model / "config.json").read_text("utf-8"))
    (model / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 0.1}), "utf-8")
    options = BuildOptions(
        model=str(model),
        output=tmp_path / "bundle",
        cache_dir=tiny_cache,
        variants=("cpu/fp32",),
        verify=False,
    )
    assert not any(stage.reused for stage in build(options).stages)
    graphs = [(at / "onnx/model.onnx").read_bytes() for at in (options.output, tiny_bundle)]
    assert graphs[0] != graphs[1]


def test_each_file_is_hashed_once_and_the_manifest_written_twice(
    tiny_bundle: Path, tiny_model: Path, tiny_cache: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    hashed, written = list[str](), list[int]()
    describe, write_manifest = output_module._describe, build_module.write_manifest

    def count_hash(work: Path, path: str) -> FileEntry:
        hashed.append(path)
        return describe(work, path)

    def count_manifest(*arguments: Any) -> Manifest:
        manifest: Manifest = write_manifest(*arguments)
        written.append(len(manifest.files))
        return manifest

    monkeypatch.setattr(output_module, "_describe", count_hash)
    monkeypatch.setattr(build_module, "write_manifest", count_manifest)
    options = BuildOptions(
        model=str(tiny_model), output=tmp_path / "bundle", cache_dir=tiny_cache, verify=False
    )
    summary = build(options)
    # Files of reused stages come with the hash that the cache compared them by.
    reused = {path for paths in VARIANTS.values() for path in paths}
    assert sorted(hashed) == sorted({file.path for file in summary.files} - reused)
    assert written == [len(summary.files) - 1, len(summary.files)]


@pytest.mark.parametrize("verified", [True, False])
def test_failed_gate_keeps_what_stood_there(
    tiny_bundle: Path, tiny_model: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, *, verified: bool,
) -> None:  # fmt: skip
    """A quantizer that ruins every weight is caught by the gate, by name."""
    from minilm.optimize.calibration.gptq import QuantizedWeight, gptq
    from minilm.optimize.targets import cpu

    output = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    before = contents(output)

    def ruin(weight: np.ndarray, gram: np.ndarray, *, pairs: bool) -> QuantizedWeight:
        rounded = gptq(weight, gram, pairs=pairs)
        return QuantizedWeight(codes=rounded.codes[::-1].copy(), scale=rounded.scale)

    monkeypatch.setattr(cpu, "gptq", ruin)
    options = BuildOptions(
        model=str(tiny_model),
        output=output,
        cache_dir=tmp_path / "cache",
        variants=("cpu/int8",),
        verify=verified,
    )
    with pytest.raises(
        GateFailed,
        match=r"for 1 of 1 variants; .*\. cpu/int8: .*cosine-min is .*, must be >= 0\.99",
    ) as caught:
        build(options)
    assert caught.value.exit_code == 1
    assert contents(output) == before


def test_wrong_facts_fail_without_verification(
    tiny_model: Path, tiny_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = resolve(str(tiny_model))
    wrong = replace(source, config=replace(source.config, max_tokens=MAX_TOKENS // 2))
    monkeypatch.setattr("minilm.convert.resolve", lambda _: wrong)
    options = BuildOptions(
        model=str(tiny_model),
        output=tmp_path / "bundle",
        cache_dir=tiny_cache,
        variants=("cpu/fp32",),
        verify=False,
    )
    with pytest.raises(GateFailed, match=r"facts is 1, must be == 0 \(.*; max_tokens: 32 in the"):
        build(options)
    assert not options.output.exists()


def test_output_of_something_else_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "letter.txt").touch()
    monkeypatch.setattr("minilm.convert.resolve", lambda _: pytest.fail("the build has begun"))
    with pytest.raises(UsageError, match="is a file: give a new directory"):
        build(BuildOptions(output=tmp_path / "letter.txt"))
    with pytest.raises(UsageError, match=r"with other files and no manifest\.json.*--force"):
        build(BuildOptions(output=tmp_path))


def test_source_without_tokenizer(tiny_model: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (model / "tokenizer.json").unlink()
    with pytest.raises(SourceError, match=r"has no tokenizer\.json"):
        build(BuildOptions(model=str(model), output=tmp_path / "bundle"))


def test_disk_full(tiny_model: Path, tmp_path: Path) -> None:
    """A limit on file size stands for a full disk: the write fails in mid-build."""
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
        "sys.argv[0] = 'toolkit'\n"
        "from minilm.cli import main\n"
        "sys.exit(main())\n"
    )
    output = tmp_path / "out" / "bundle"
    done = subprocess.run(
        [sys.executable, "-c", code, "build", "--model", str(tiny_model), "--output", str(output)],
        env=os.environ | {"MINILM_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == BuildFailed.exit_code, done.stderr
    assert "error: stage export failed" in done.stderr
    assert [path.name for path in output.parent.iterdir()] in ([], [".bundle.lock"])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_mid_build(
    number: signal.Signals, exit_code: int, tiny_bundle: Path, tiny_model: Path, tmp_path: Path
) -> None:
    output = Path(shutil.copytree(tiny_bundle, tmp_path / "out" / "bundle"))
    before = contents(output)
    # A child of tests that run in the background of a shell would ignore the signal.
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from minilm.cli import main\n"
        "sys.exit(main())\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "build", "--model", str(tiny_model), "--output", str(output)],
        env=os.environ | {"MINILM_CACHE": str(tmp_path / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    with process:
        deadline = time.monotonic() + 60
        while not list(output.parent.glob(".bundle.new-*/onnx/*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == exit_code, errors
    assert contents(output) == before
    left = [path.name for path in output.parent.iterdir() if path.suffix != ".lock"]
    assert left == ["bundle"]
