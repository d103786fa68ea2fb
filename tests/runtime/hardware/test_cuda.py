"""The GPU as the driver tells of it; no machine of these tests has one, so the driver is played."""

import ctypes
import sys
from typing import Any

import onnxruntime
import pytest
from minilm.runtime.hardware import cuda, host
from minilm.runtime.hardware.cuda import Gpu


class Driver:
    """CUDA's driver API, as far as it is asked."""

    def __init__(self, *, code: int = 0, count: int = 1) -> None:
        self._code, self._count = code, count

    def cuInit(self, _flags: int) -> int:  # noqa: N802 - the driver's name
        return self._code

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self._count
        return 0

    def cuDeviceGet(self, device: Any, number: int) -> int:  # noqa: N802
        device._obj.value = number
        return 0

    def cuDeviceGetName(self, name: Any, size: int, _device: Any) -> int:  # noqa: N802
        name.value = b"A GPU"[:size]
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, _device: Any) -> int:  # noqa: N802
        value._obj.value = {75: 8, 76: 6}[attribute]
        return 0


def _install(monkeypatch: pytest.MonkeyPatch, driver: Driver, *, said: str = "") -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: driver)

    def preload_dlls(*, msvc: bool) -> None:
        assert not msvc
        sys.stdout.write(said)

    monkeypatch.setattr(onnxruntime, "preload_dlls", preload_dlls, raising=False)


def test_a_gpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    said = "Failed to load /a/lib/libcudnn.so.9: tried elsewhere\n"
    _install(monkeypatch, Driver(), said=said)
    assert cuda.detect_gpu() == Gpu(name="A GPU", capability=(8, 6))
    assert capsys.readouterr().out == ""


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Driver:
        raise OSError(f"{name}: not here")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert cuda.detect_gpu().obstacle in {
        "no NVIDIA driver (libcuda.so.1: not here)",
        "no NVIDIA driver (nvcuda.dll: not here)",
    }


@pytest.mark.parametrize(("code", "count"), [(100, 1), (0, 0)])
def test_a_driver_without_a_gpu(monkeypatch: pytest.MonkeyPatch, code: int, count: int) -> None:
    _install(monkeypatch, Driver(code=code, count=count))
    expected = f"the NVIDIA driver shows no GPU to this process (its code: {code})"
    assert cuda.detect_gpu() == Gpu(obstacle=expected)


def test_cuda_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "Failed to load libcublas.so.13: none\nFailed to load libcurand.so.10: none\nPlease\n"
    _install(monkeypatch, Driver(), said=said)
    found = cuda.detect_gpu()
    assert found.name == "A GPU"
    assert found.obstacle == (
        'CUDA is missing (libcublas.so.13, libcurand.so.10): pip install "minilm-toolkit[cuda]"'
    )


def test_an_onnxruntime_that_cannot_preload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Driver())
    monkeypatch.delattr(onnxruntime, "preload_dlls", raising=False)
    assert cuda.detect_gpu() == Gpu(name="A GPU", capability=(8, 6))


def test_the_driver_is_asked_for_cuda_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "detect_gpu", lambda: Gpu(obstacle="asked"))
    assert host.detect_host().gpu is None
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    assert host.detect_host().gpu == Gpu(obstacle="asked")
    assert host.detect_host(gpu=False).gpu is None
    assert host.detect_host(providers=False).gpu is None
