"""Which variant for which host, and the words for it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from minilm.runtime.errors import BackendUnavailable, InvalidArtifact, UsageError
from minilm.runtime.hardware.cuda import Gpu
from minilm.runtime.manifest import Manifest, read
from minilm.runtime.selection import assess, choose

from tests.runtime.conftest import HostMaker

_CPU = ("CPUExecutionProvider",)
_CUDA = ("CUDAExecutionProvider", *_CPU)
_BOTH = {"onnxruntime": "1.23.0", "openvino": "2025.3.0"}
_ORT = {"onnxruntime": "1.23.0"}


@pytest.fixture
def seven(tiny_bundle: Path) -> Manifest:
    """All variants, on backends of versions that these tests know."""
    manifest = read(tiny_bundle)
    lowest = {"onnxruntime": "1.20", "onnxruntime-gpu": "1.21", "openvino": "2025.0"}
    variants = [
        replace(variant, backend_version=lowest.get(variant.backend, variant.backend_version))
        for variant in manifest.variants
    ]
    return replace(manifest, variants=tuple(variants))


@pytest.fixture
def six(seven: Manifest) -> Manifest:
    """The variants that other libraries run."""
    others = [variant for variant in seven.variants if variant.target != "native"]
    return replace(seven, variants=tuple(others))


@pytest.mark.parametrize(
    ("sets", "backends", "best"),
    [
        (("amx_int8", "amx_bf16", "avx512_vnni"), _BOTH, "openvino/bf16"),
        (("amx_int8", "amx_bf16", "avx512_vnni"), _ORT, "cpu/int8"),
        (("amx_bf16",), _BOTH, "openvino/bf16"),
        (("avx512_vnni", "avx512_bf16"), _BOTH, "cpu/int8"),
        (("avx_vnni",), _BOTH, "cpu/int8"),
        (("asimddp", "bf16"), _BOTH, "cpu/int8"),
        (("avx512_bf16",), _BOTH, "openvino/bf16"),
        (("avx2",), _BOTH, "cpu/int8"),
        (("avx2",), {"openvino": "2025.3.0"}, "openvino/bf16"),
        ((), _BOTH, "cpu/fp32"),
        (("amx_int8",), {"openvino": "2025.3.0"}, "openvino/int8"),
        ((), {"openvino": "2025.3.0"}, "openvino/bf16"),
    ],
)
def test_best_for_a_host(
    sets: tuple[str, ...],
    backends: dict[str, str],
    best: str,
    six: Manifest,
    make_host: HostMaker,
) -> None:
    host = make_host(instruction_sets=sets, backends=backends)
    variant, why = choose(six, host)
    assert variant.name == best
    assert why.startswith(f"{best}: ")
    assert assess(six, host)[0].name == best


def test_unknown_processor_gets_the_portable_variant_and_why_says_so(
    six: Manifest, make_host: HostMaker
) -> None:
    variant, why = choose(six, make_host(instruction_sets=(), backends=_BOTH))
    assert variant.name == "cpu/fp32"
    assert "The instruction sets of this processor are unknown" in why
    assert "unknown" not in choose(six, make_host(instruction_sets=("avx2",), backends=_BOTH))[1]


@pytest.mark.parametrize(
    ("sets", "backends", "best"),
    [
        (("avx512_vnni",), _BOTH, "native/int8"),
        (("amx_int8", "amx_bf16", "avx512_vnni"), _BOTH, "openvino/bf16"),
        (("amx_int8", "amx_bf16", "avx512_vnni"), _ORT, "native/int8"),
        (("avx_vnni",), _BOTH, "cpu/int8"),
        (("avx_vnni",), {}, "native/int8"),
        (("asimddp",), {}, "native/int8"),
        (("avx2",), _BOTH, "cpu/int8"),
        (("avx2",), {}, "native/int8"),
        ((), _ORT, "cpu/fp32"),
        ((), {}, "native/int8"),
    ],
)
def test_native_where_it_is_fastest_or_alone(
    sets: tuple[str, ...],
    backends: dict[str, str],
    best: str,
    seven: Manifest,
    make_host: HostMaker,
) -> None:
    host = make_host(instruction_sets=sets, backends=backends)
    assert choose(seven, host)[0].name == best


def test_native_without_its_library(
    seven: Manifest, make_host: HostMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("minilm.runtime.native.LIBRARY_PATH", tmp_path / "missing.so")
    host = make_host(instruction_sets=("avx512_vnni",), backends=_BOTH)
    assert choose(seven, host)[0].name == "cpu/int8"
    with pytest.raises(BackendUnavailable, match="this installation has no compiled encoder"):
        choose(seven, host, target="native")


def test_a_gpu_comes_first(six: Manifest, make_host: HostMaker) -> None:
    host = make_host(instruction_sets=("amx_int8",), providers=_CUDA)
    assert choose(six, host)[0].name == "cuda/fp16"
    assert [entry.runnable for entry in assess(six, host)] == [True] * 6


def test_reasons_name_the_facts(six: Manifest, make_host: HostMaker) -> None:
    host = make_host(instruction_sets=("avx512_vnni",), backends=_ORT)
    reasons = {entry.name: entry.reason for entry in assess(six, host)}
    assert reasons["cpu/int8"] == ("int8 dot products in hardware, and a quick start (avx512_vnni)")
    assert reasons["openvino/bf16"] == (
        'openvino is not installed: pip install "minilm-toolkit[openvino]"'
    )
    assert reasons["cuda/fp16"] == (
        "the ONNX Runtime installed here has no CUDAExecutionProvider, only CPUExecutionProvider: "
        'pip install "minilm-toolkit[cuda]"'
    )
    assert choose(six, host)[1] == (
        "cpu/int8: int8 dot products in hardware, and a quick start (avx512_vnni). "
        "cuda/fp16, cuda/int8, openvino/int8, openvino/bf16 cannot run here."
    )


def test_those_that_cannot_run_come_last(six: Manifest, make_host: HostMaker) -> None:
    found = assess(six, make_host(backends=_ORT))
    runnable = [entry.runnable for entry in found]
    assert runnable == sorted(runnable, reverse=True)
    assert len(found) == 6


def test_target_and_precision_override(six: Manifest, make_host: HostMaker) -> None:
    host = make_host(instruction_sets=("avx512_vnni",))
    variant, why = choose(six, host, precision="fp32")
    assert (variant.name, why) == (
        "cpu/fp32",
        "cpu/fp32, among precision='fp32': float32 runs at full speed on any CPU.",
    )
    assert choose(six, host, target="openvino")[0].name == "openvino/int8"
    assert choose(six, host, target="cpu", precision="int8")[0].name == "cpu/int8"


@pytest.mark.parametrize(
    ("backends", "target", "message"),
    [
        (
            {},
            "cpu",
            (
                "target='cpu' cannot run on this machine: cpu/int8: onnxruntime is not installed: "
                'pip install "minilm-toolkit[cpu]"; cpu/fp32: onnxruntime is not installed: '
                'pip install "minilm-toolkit[cpu]"'
            ),
        ),
        (
            {"onnxruntime": "1.19.2"},
            "cpu",
            (
                "target='cpu' cannot run on this machine: cpu/int8: it needs onnxruntime 1.20 or "
                'later and 1.19.2 is installed: pip install --upgrade "minilm-toolkit[cpu]"; '
                "cpu/fp32: it needs onnxruntime 1.20 or later and 1.19.2 is installed: "
                'pip install --upgrade "minilm-toolkit[cpu]"'
            ),
        ),
    ],
)
def test_nothing_falls_back(
    backends: dict[str, str], target: str, message: str, six: Manifest, make_host: HostMaker
) -> None:
    with pytest.raises(BackendUnavailable, match=f"^{re.escape(message)}$") as caught:
        choose(six, make_host(backends=backends), target=target)
    assert caught.value.exit_code == 4


def test_an_absent_gpu_is_an_error(six: Manifest, make_host: HostMaker) -> None:
    with pytest.raises(BackendUnavailable, match=r"^target=.cuda. cannot run on this machine: "):
        choose(six, make_host(), target="cuda")


def test_onnxruntime_for_gpus_without_one(six: Manifest, make_host: HostMaker) -> None:
    gpu = Gpu(obstacle="no NVIDIA driver (none)")
    host = make_host(instruction_sets=("avx512_vnni",), providers=_CUDA, gpu=gpu)
    variant, why = choose(six, host)
    assert variant.name == "cpu/int8"
    assert "cuda/fp16, cuda/int8 cannot run here." in why
    message = (
        "target='cuda' cannot run on this machine: cuda/fp16: no NVIDIA driver (none); "
        "cuda/int8: no NVIDIA driver (none)"
    )
    with pytest.raises(BackendUnavailable, match=f"^{re.escape(message)}$"):
        choose(six, host, target="cuda")
    message = "provider='CUDAExecutionProvider' cannot run here: no NVIDIA driver (none)"
    with pytest.raises(BackendUnavailable, match=f"^{re.escape(message)}$"):
        choose(six, host, provider=_CUDA[0])


@pytest.mark.parametrize(("capability", "runs"), [((6, 1), 0), ((7, 0), 1), ((9, 0), 2)])
def test_a_gpu_has_to_be_new_enough(
    capability: tuple[int, int], runs: int, six: Manifest, make_host: HostMaker
) -> None:
    variants = tuple(
        replace(each, instruction_sets=("sm_70" if each.precision == "fp16" else "sm_75",))
        for each in six.variants
        if each.target == "cuda"
    )
    gpu = Gpu(name="A GPU", capability=capability)
    found = assess(replace(six, variants=variants), make_host(providers=_CUDA, gpu=gpu))
    assert sum(each.runnable for each in found) == runs
    if not runs:
        expected = "it is made for sm_70 and later, and A GPU is sm_61"
        assert found[0].reason == expected


def test_no_backend_at_all(six: Manifest, make_host: HostMaker) -> None:
    with pytest.raises(BackendUnavailable, match=r"^any target cannot run on this machine: "):
        choose(six, make_host(backends={}, providers=()))


def test_unknown_names(six: Manifest, make_host: HostMaker) -> None:
    with pytest.raises(
        UsageError, match=r"^unknown target 'tpu': choose one of cpu, openvino, cuda, native$"
    ):
        choose(six, make_host(), target="tpu")
    with pytest.raises(
        UsageError, match=r"^unknown precision 'int4': choose one of fp32, bf16, fp16, int8$"
    ):
        choose(six, make_host(), precision="int4")


def test_a_variant_that_the_bundle_lacks(six: Manifest, make_host: HostMaker) -> None:
    message = (
        "the bundle has no variant of target='cpu' and precision='fp16'; it has: cpu/fp32, "
        "cpu/int8, openvino/bf16, openvino/int8, cuda/fp16, cuda/int8"
    )
    with pytest.raises(InvalidArtifact, match=f"^{re.escape(message)}$"):
        choose(six, make_host(), target="cpu", precision="fp16")


def test_a_provider_by_name(six: Manifest, make_host: HostMaker) -> None:
    host = make_host(instruction_sets=("avx512_vnni",))
    cpu = _CPU[0]
    variant, why = choose(six, host, target="cuda", provider=cpu)
    assert variant.name == "cuda/fp16"
    assert why == (
        f"cuda/fp16 on {cpu}, asked for by name instead of CUDAExecutionProvider, which it was "
        "made for."
    )
    assert choose(six, host, provider=cpu)[1] == f"cpu/int8 on {cpu}, asked for by name."
    with pytest.raises(
        BackendUnavailable, match=r"^the ONNX Runtime installed here has no 'Tpu'; it has: CPUExec"
    ):
        choose(six, host, target="cpu", provider="Tpu")
    with pytest.raises(
        UsageError, match=r"^provider='CPUExecutionProvider' is ONNX Runtime's, and"
    ):
        choose(six, host, target="openvino", provider=cpu)
    with pytest.raises(BackendUnavailable, match="onnxruntime is not installed"):
        choose(six, make_host(backends={}, providers=()), target="cpu", provider=cpu)


def test_a_backend_from_the_future(six: Manifest, make_host: HostMaker) -> None:
    strange = replace(six, variants=(replace(six.variants[0], backend="futureml"),))
    (found,) = assess(strange, make_host())
    assert not found.runnable
    assert found.reason == "it needs 'futureml', which this version of the loader cannot drive"


@pytest.mark.parametrize(
    ("found", "runnable"),
    [
        ("1.20", True),
        ("1.20.0rc1", True),
        ("1.9", False),
        ("2.0.0.dev3", True),
        ("1.20.1+cpu", True),
    ],
)
def test_versions_compare_as_numbers(
    found: str, runnable: bool, six: Manifest, make_host: HostMaker
) -> None:
    host = make_host(backends={"onnxruntime": found})
    reasons = {entry.name: entry.runnable for entry in assess(six, host)}
    assert reasons["cpu/fp32"] == runnable
