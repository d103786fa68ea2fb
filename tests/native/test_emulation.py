"""Kernels of processors that are not here give the same bytes, emulated.

`qemu-user` runs a processor with AVX2 alone, and 64-bit ARM with and without the dot product. AMX
and AVX-VNNI, which it does not know, run with their instructions written out in C++ (`emulated.h`).
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from minilm.runtime.native import build

from tests.native.reference import (
    Architecture,
    Floats,
    encode,
    random_tensors,
    weight_file,
    with_rotation,
)
from tests.native.texts import packed, random_texts
from tests.support.native_library import built

HERE = Path(__file__).parent
ARM = "aarch64-linux-gnu-g++"
ARCHITECTURES = (
    Architecture(dimension=48, heads=3, intermediate=80),
    Architecture(dimension=160, heads=2, intermediate=112, pooling="cls"),
    Architecture(dimension=128, heads=4, intermediate=272, positions=100, max_tokens=100),
)


def program(
    name: str, *, architecture: str | None = None, compiler: str | None = None, **own: Sequence[str]
) -> Path:
    """The driver, linked statically, with `own` flags for single files of `src/integer`."""

    def make(output: Path, objects: Path) -> None:
        build.compile_library(
            output,
            objects,
            compiler=[compiler] if compiler else None,
            flags=["-O1", "-static", *(["-DMINILM_EMULATED"] if own else [])],
            architecture=architecture,
            program=HERE / "driver.cpp",
            own_flags={f"integer/{file}.cpp": flags for file, flags in own.items()},
        )

    return built(name, make, *map(str, own.values()))


def vectors_of(
    command: Sequence[str],
    folder: Path,
    architecture: Architecture,
    kernels: Sequence[str],
    threads: int,
) -> tuple[Floats, Floats]:
    """The driver's vectors, (kernels, texts, dimension), and the NumPy model's."""
    tensors = random_tensors(architecture, seed=2)
    lengths = [n for n in (1, 2, 7, 16, 31, 32, 33, 100) if n <= architecture.max_tokens]
    texts = random_texts(lengths, architecture.vocab_size)
    ids, offsets = packed(texts)
    (folder / "weights").write_bytes(weight_file(architecture, tensors))
    counts = np.array([len(texts), len(ids)], np.int64)
    (folder / "texts").write_bytes(counts.tobytes() + offsets.tobytes() + ids.tobytes())
    names = [str(folder / name) for name in ("weights", "texts", "vectors")]
    done = subprocess.run(
        [*command, *names, str(threads), *kernels], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    vectors = np.fromfile(folder / "vectors", np.float32)
    shape = (len(kernels), len(texts), architecture.dimension)
    return vectors.reshape(shape), encode(architecture, tensors, texts)


def assert_same_bytes(
    command: Sequence[str], folder: Path, kernels: Sequence[str], threads: int = 2
) -> None:
    for architecture in map(with_rotation, ARCHITECTURES):
        vectors, expected = vectors_of(command, folder, architecture, kernels, threads)
        for kernel, found in zip(kernels, vectors, strict=True):
            np.testing.assert_array_equal(found, expected, err_msg=kernel)


def emulator(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.mark.skipif(not any("avx2" in str(path) for path in build.sources()), reason="x86-64")
def test_amx_and_avx_vnni_written_out(tmp_path: Path) -> None:
    header = ("-include", str(HERE / "emulated.h"))
    driver = program("driver-emulated", amx=("-mavx2", *header), avx_vnni=("-mavx2", *header))
    assert_same_bytes([str(driver)], tmp_path, ["amx", "avx_vnni"])


@pytest.mark.skipif(not any("avx2" in str(path) for path in build.sources()), reason="x86-64")
@pytest.mark.parametrize(
    ("processor", "kernels"),
    [("Haswell", ("avx2", "generic")), ("Nehalem", ("generic",))],
)
def test_x86_64_without_avx512(tmp_path: Path, processor: str, kernels: Sequence[str]) -> None:
    qemu = emulator("qemu-x86_64")
    driver = program("driver")
    assert_same_bytes([qemu, "-cpu", processor, str(driver)], tmp_path, kernels, threads=1)


@pytest.mark.parametrize(
    ("processor", "kernels"),
    [("max", ("neon_dot", "neon", "generic")), ("cortex-a72", ("neon", "generic"))],
)
def test_arm(tmp_path: Path, processor: str, kernels: Sequence[str]) -> None:
    qemu = emulator("qemu-aarch64")
    emulator(ARM)
    driver = program("driver-arm", architecture="arm64", compiler=ARM)
    assert_same_bytes([qemu, "-cpu", processor, str(driver)], tmp_path, kernels)


def test_kernel_that_the_processor_lacks_is_refused(tmp_path: Path) -> None:
    qemu = emulator("qemu-x86_64")
    driver = program("driver")
    with pytest.raises(AssertionError, match='kernel "avx512_vnni" cannot run on this processor'):
        assert_same_bytes([qemu, "-cpu", "Nehalem", str(driver)], tmp_path, ["avx512_vnni"])
