"""Facts about a machine, read from made-up ones."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from minilm.runtime.hardware import cpu, host


def _tree(root: Path, files: Mapping[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    return root


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform == "linux":
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(os, "cpu_count", lambda: 8)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 8),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "10000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "3200000 100000\n"}, 8),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "nonsense\n"}, 8),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100000 0\n"}, 8),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "300000 100000\n",
                "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
            },
            3,
        ),
        (
            {
                "proc/self/cgroup": "0::/gone/from/here\n",
                "sys/fs/cgroup/cpu.max": "400000 100000\n",
            },
            4,
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/x\n3:cpu,cpuacct:/x\n0::/\n",
                "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "250000\n",
                "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": "100000\n",
            },
            3,
        ),
        (
            {
                "proc/self/cgroup": "1:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            8,
        ),
        ({"proc/self/cgroup": "1:cpu:/nowhere\n"}, 8),
    ],
)
@pytest.mark.usefixtures("eight_cores")
def test_cores_by_quota(files: Mapping[str, str], cores: int, tmp_path: Path) -> None:
    found, reason = cpu.available_cores(_tree(tmp_path, files))
    assert found == cores
    assert reason.startswith("8 by ")
    assert ("cgroup" in reason) == (cores < 8 or "3200000" in str(files))


def test_cores_of_this_process_are_at_least_one() -> None:
    cores, _ = cpu.available_cores()
    assert 1 <= cores <= (os.cpu_count() or 1)


@pytest.mark.skipif(sys.platform != "linux", reason="affinity is Linux's")
def test_affinity_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert cpu.available_cores(tmp_path) == (1, "1 by affinity mask")


def test_instruction_sets_best_first(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(
        "processor : 0\nflags : fpu avx2 avx512f avx512_vnni amx_int8\n\n"
        "processor : 1\nflags : fpu\n"
    )
    assert cpu.instruction_sets(cpuinfo) == ("amx_int8", "avx512_vnni", "avx512f", "avx2")


@pytest.mark.parametrize(
    "flags", ["avx512_vnni", "avx512f avx512_vnni", "avx_vnni", "amx_int8 avx2", ""]
)
def test_instruction_sets_that_contradict_themselves_are_unknown(
    flags: str, tmp_path: Path
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nflags : fpu {flags}\n")
    assert cpu.instruction_sets(cpuinfo) == ()


def test_instruction_sets_of_arm(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nFeatures : fp asimd asimddp i8mm bf16\n")
    assert cpu.instruction_sets(cpuinfo) == ("asimddp", "i8mm", "bf16")


def test_instruction_sets_without_cpuinfo(tmp_path: Path) -> None:
    import numpy as np

    features = np._core._multiarray_umath.__cpu_features__  # type: ignore[attr-defined]  # private
    found = cpu.instruction_sets(tmp_path / "none")
    assert ("avx2" in found) == bool(features.get("AVX2"))
    assert ("asimddp" in found) == bool(features.get("ASIMDDP"))


def test_versions_are_read_without_an_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _tree(
        tmp_path,
        {
            "fakelib/__init__.py": "raise AssertionError('imported')",
            "fakelib_other-9.9.dist-info/METADATA": "",
            "fakelib_gpu-1.2.3.dist-info/METADATA": "",
            "bare/__init__.py": "",
        },
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert host._installed("fakelib") == "1.2.3"
    assert host._installed("bare") == "0"
    assert host._installed("no_such_module") is None


@pytest.mark.parametrize(
    ("library", "has"),
    [
        ("libonnxruntime_providers_cuda.so", True),
        ("onnxruntime_providers_cuda.dll", True),
        ("libonnxruntime_providers_shared.so", False),
    ],
)
def test_a_cuda_provider_is_seen_without_an_import(
    library: str, has: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _tree(
        tmp_path,
        {"onnxruntime/__init__.py": "raise AssertionError", f"onnxruntime/capi/{library}": ""},
    )
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert host.has_cuda_provider() is has


def test_no_cuda_provider_here() -> None:
    assert not host.has_cuda_provider()


def test_this_machine() -> None:
    found = host.detect_host(["onnxruntime", "no_such_module"])
    assert found.cores >= 1
    assert set(found.backends) == {"onnxruntime"}
    assert found.backends["onnxruntime"].count(".") == 2
    assert "CPUExecutionProvider" in (found.providers or ())
    assert host.detect_host(providers=False).providers is None


def test_no_backend_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_installed", lambda _: None)
    found = host.detect_host(["onnxruntime"])
    assert found.backends == {}
    assert found.providers == ()
