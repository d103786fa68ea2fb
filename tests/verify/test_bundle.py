"""The real bundle passes, whoever asks and however."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.hardware.host import detect_host
from minilm.runtime.manifest import read
from minilm.verify import (
    check_bundle,
    load_policy,
    measure_parity,
    render_report,
    resolve_reference,
)
from minilm.verify.bundle import substituted_kernels, verify_bundle
from minilm.verify.candidates import bundle as candidates_module
from minilm.verify.gates import BUNDLE_GATES, IDENTITY_GATES, VARIANT_GATES
from minilm.verify.reference import GoldenReference, PyTorchReference, Reference
from minilm.verify.reference import baseline as baseline_module

from tests.support.verifying import FEW_TEXTS, failed_gates, verify

PER_BUNDLE = [gate.name for gate in IDENTITY_GATES] + [gate.name for gate in BUNDLE_GATES]
PER_VARIANT = [gate.name for gate in VARIANT_GATES if gate.name != "sts-drop"]


def test_all_variants_of_the_real_bundle_pass(bundle: Path, reference: Reference) -> None:
    said: list[str] = []
    report = verify(bundle, reference, on_progress=said.append)
    assert [f"{place}: {gate.name} {gate.figure}" for place, gate in report.failures] == []
    names = [variant.name for variant in read(bundle).variants]
    assert [variant.name for variant in report.variants] == names
    assert [gate.name for gate in report.gates] == PER_BUNDLE
    for variant in report.variants:
        one_output = variant.name == "native/int8"
        is_onnx = variant.name.startswith(("cpu", "cuda"))
        left_out = {"outputs"} if one_output else set()
        left_out |= set() if is_onnx else {"checker"}
        expected = [name for name in PER_VARIANT if name not in left_out]
        assert [gate.name for gate in variant.gates] == expected
        note = "gate outputs: left out, since the graph has one output only"
        assert variant.notes == ((note,) if one_output else ())
        assert len(variant.cosines) == len(report.corpus)
    host = detect_host(providers=False)
    assert report.notes == tuple(substituted_kernels(read(bundle), names, host))
    assert said[1:] == [f"judging {name}" for name in names]
    assert str(bundle.parent) not in render_report(report, "json")


def test_one_variant_with_one_thread(bundle: Path, reference: Reference) -> None:
    report = verify(bundle, reference, variants=["cpu/fp32"], threads=1, corpus=FEW_TEXTS)
    assert report.passed
    assert [variant.name for variant in report.variants] == ["cpu/fp32"]
    (threads,) = (gate for gate in report.variants[0].gates if gate.name == "threads")
    assert threads.detail == "1 against 2"


def test_backends_are_imported_while_files_are_hashed(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported: list[str] = []
    monkeypatch.setattr(candidates_module, "import_module", imported.append)
    checked = check_bundle(bundle, ["cpu/fp32", "openvino/int8"])
    assert imported == ["onnxruntime", "openvino"]
    assert checked.variants == ("cpu/fp32", "openvino/int8")


def test_a_backend_that_is_missing_is_the_loaders_to_report(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(candidates_module, "import_module", refuse)
    assert check_bundle(bundle, ["openvino/int8"]).manifest == read(bundle)


def test_one_variant_that_cannot_be_loaded_stops_the_rest(
    tiny_bundle: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def refuse(_: Path, name: str, __: int) -> None:
        begun.append(name)
        raise InvalidArtifact(f"{name} is damaged")

    monkeypatch.setattr(candidates_module, "_load", refuse)
    checked = check_bundle(tiny_bundle)
    with pytest.raises(InvalidArtifact, match="cpu/fp32 is damaged"):
        verify_bundle(checked, PyTorchReference(str(tiny_model)), threads=1)
    assert begun[0] == "cpu/fp32"
    assert len(begun) < len(checked.variants)


def test_a_policy_decides(bundle: Path, reference: Reference, tmp_path: Path) -> None:
    path = tmp_path / "strict.toml"
    path.write_text('["*"]\ncosine-min = 1\ntop10 = false\nprecision = false\n', encoding="utf-8")
    report = verify(
        bundle, reference, variants=["cpu/fp32"], policy=load_policy(path), corpus=FEW_TEXTS
    )
    assert report.policy == "strict.toml"
    assert [gate.name for _, gate in report.failures] == ["cosine-min"]
    assert report.variants[0].notes == (
        "gate top10: switched off by the policy",
        "gate precision: switched off by the policy",
    )


def test_without_pytorch_golden_vectors_are_the_reference(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baseline_module, "torch_installed", lambda: False)
    golden = resolve_reference(None, bundle)
    assert isinstance(golden, GoldenReference)
    report = verify(bundle, golden, variants=["cpu/fp32"])
    assert report.passed
    assert report.reference.startswith("golden.npz of the bundle")
    assert [gate.name for gate in report.gates] == ["integrity", "reference", "facts", "tokenizer"]
    assert "gate golden: left out" in report.notes[0]
    assert "taken on trust" in report.notes[0]
    # Its probe texts are the whole corpus, whatever this version's corpus is; some do.
    known = golden.corpus
    assert 200 < len(report.corpus) < len(known) * 2 // 3
    assert report.notes[1].startswith(
        f"golden.npz has {len(known)} texts: all tokenized, {len(report.corpus)} embedded (the "
    )
    lengths = {info.tokens for info in report.corpus}
    assert lengths >= {*range(2, 17), 127, 128, 129, 255, 256, 257}
    (tokenizer,) = (gate for gate in report.gates if gate.name == "tokenizer")
    assert tokenizer.detail == f"of {len(known)} texts"


def test_without_pytorch_and_golden_vectors_there_is_nothing_to_compare_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baseline_module, "torch_installed", lambda: False)
    with pytest.raises(InvalidArtifact, match="there is nothing to compare with"):
        resolve_reference(None, tmp_path)


def test_without_onnx_the_graph_is_not_inspected(
    bundle: Path, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minilm.verify.candidates.bundle.can_read_graph", lambda _: False)
    report = verify(bundle, reference, variants=["cpu/fp32"], corpus=FEW_TEXTS)
    assert report.passed
    (note,) = report.variants[0].notes
    left_out = "gates interface, operators, precision and checker: left out, since the library"
    assert note.startswith(left_out)
    assert report.variants[0].operators


@pytest.mark.parametrize("missing", [True, False])
def test_a_gpu_is_used_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, *, missing: bool
) -> None:
    import onnxruntime
    from minilm.runtime.hardware import cuda

    found = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: found)
    obstacle = "no NVIDIA driver" if missing else ""
    monkeypatch.setattr(cuda, "detect_gpu", lambda: cuda.Gpu(obstacle=obstacle))
    asked: dict[str, object] = {}
    monkeypatch.setattr(candidates_module, "load", lambda _, **settings: asked.update(settings))
    candidates_module._load(Path("bundle"), "cuda/fp16", 2)
    assert asked["provider"] == ("CPUExecutionProvider" if missing else None)
    assert (asked["target"], asked["precision"], asked["threads"]) == ("cuda", "fp16", 2)


def test_measured_figures_are_the_same_from_run_to_run(bundle: Path) -> None:
    code = (
        "import json, sys; from pathlib import Path; from dataclasses import asdict\n"
        "from minilm.verify import measure_parity\n"
        "from minilm.verify.reference import PyTorchReference\n"
        "from tests.support.verifying import FEW_TEXTS\n"
        "original = PyTorchReference(None)\n"
        "found = measure_parity(Path(sys.argv[1]), reference=original, corpus=FEW_TEXTS)\n"
        "print(json.dumps({name: asdict(parity) for name, parity in found.items()}))\n"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code, str(bundle)],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert list(json.loads(runs[0])) == [variant.name for variant in read(bundle).variants]


def test_measure_some_variants(bundle: Path, reference: Reference) -> None:
    found = measure_parity(bundle, reference=reference, variants=["cpu/fp32"], corpus=FEW_TEXTS)
    assert list(found) == ["cpu/fp32"]
    assert 0.999999 <= found["cpu/fp32"].minimum <= found["cpu/fp32"].p01 <= 1


def test_another_model_of_other_width_limit_and_pooling(
    tiny_bundle: Path, tiny_model: Path
) -> None:
    report = verify(tiny_bundle, PyTorchReference(str(tiny_model)), variants=["cpu/fp32"])
    assert [f"{place}: {gate.name} {gate.figure}" for place, gate in report.failures] == []
    limit = read(tiny_bundle).model.max_tokens
    assert limit != 256
    lengths = {info.category: info.tokens for info in report.corpus}
    assert lengths[f"length-{limit + 1}"] == limit + 1


def test_another_model_needs_its_own_weights(tiny_bundle: Path, reference: Reference) -> None:
    report = verify(tiny_bundle, reference)
    assert failed_gates(report) == {"reference"}


@pytest.mark.parametrize(
    ("sets", "named"),
    [
        (("avx2",), ["cpu/int8", "openvino/bf16", "openvino/int8"]),
        (("avx512_vnni", "avx512f", "avx2"), ["openvino/bf16"]),
        (("avx512_bf16", "avx512_vnni", "avx512f", "avx2"), []),
        ((), ["cpu/int8", "openvino/bf16", "openvino/int8"]),
    ],
)
def test_variants_whose_instruction_sets_are_missing_are_named(
    sets: tuple[str, ...], named: list[str], tiny_bundle: Path
) -> None:
    manifest = read(tiny_bundle)
    host = replace(detect_host(providers=False), instruction_sets=sets)
    names = [variant.name for variant in manifest.variants]
    found = list(substituted_kernels(manifest, names, host))
    assert [remark.split(" ")[0] for remark in found] == named
    if sets == ("avx512_vnni", "avx512f", "avx2"):
        assert found == [
            (
                "openvino/bf16 is meant for processors with amx_bf16 or avx512_bf16; this one has "
                "none of them, so its figures are those of other kernels"
            )
        ]
