"""cpu/int8 on a processor with AVX2 and nothing newer, emulated by QEMU's user mode.

Without VNNI, ONNX Runtime sums pairs of int8 products in saturating 16 bits, so parity there is a
figure of its own. QEMU emulates AVX2 since 7.2 (https://wiki.qemu.org/ChangeLog/7.2).
"""

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import minilm.runtime
import numpy as np
import numpy.typing as npt
import pytest
from minilm.runtime import load
from minilm.verify.reference.corpus import corpus_texts

QEMU = shutil.which("qemu-x86_64")

pytestmark = [
    pytest.mark.skipif(QEMU is None, reason="qemu-x86_64 is not installed (Debian: qemu-user)"),
    pytest.mark.skipif(
        platform.machine() not in {"x86_64", "AMD64"}, reason="this Python is not one for x86-64"
    ),
]

# NumPy's features come from CPUID, which QEMU emulates; /proc/cpuinfo stays the host's.
_CHILD = """
import json, sys
import numpy as np
from numpy._core._multiarray_umath import __cpu_features__ as features
bundle, output = sys.argv[1:]
if features["AVX2"]:
    from minilm.runtime import load
    encoder = load(bundle, target="cpu", precision="int8", threads=1, verify="sizes")
    np.save(output, encoder.encode(json.load(sys.stdin)))
print(json.dumps({name: bool(features[name]) for name in ("AVX2", "AVX512F", "AVX512VNNI")}))
"""


def _namespace(directory: Path) -> str:
    """A PYTHONPATH with the loader and its dependencies: it runs no hook of an editable install."""
    (directory / "minilm").mkdir(parents=True)
    package = Path(minilm.runtime.__file__).parent
    (directory / "minilm/runtime").symlink_to(package, target_is_directory=True)
    return os.pathsep.join([str(directory), str(Path(np.__file__).parents[1])])


def _embed_emulated(bundle: Path, texts: list[str], scratch: Path) -> npt.NDArray[np.float32]:
    output = scratch / "vectors.npy"
    # The virtual environment's `python` finds its packages by its own path, QEMU hides that path.
    python = str(Path(sys.executable).resolve())
    done = subprocess.run(
        [QEMU or "", "-cpu", "Haswell", python, "-c", _CHILD, str(bundle), str(output)],
        input=json.dumps(texts),
        env=os.environ | {"PYTHONPATH": _namespace(scratch / "namespace")},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    features = json.loads(done.stdout)
    if not features["AVX2"]:
        pytest.skip("this qemu-x86_64 emulates no AVX2: 7.2 or later is needed")
    assert features == {"AVX2": True, "AVX512F": False, "AVX512VNNI": False}
    vectors: npt.NDArray[np.float32] = np.load(output)
    return vectors


def test_int8_holds_on_avx2(bundle: Path, tmp_path: Path) -> None:
    short = [text for text in corpus_texts() if 0 < len(text) <= 80]
    texts = short[:: len(short) // 24][:24]
    assert len(texts) == 24
    emulated = _embed_emulated(bundle, texts, tmp_path)
    native = {
        precision: load(bundle, target="cpu", precision=precision, threads=1).encode(texts)
        for precision in ("fp32", "int8")
    }
    cosines = (emulated * native["fp32"]).sum(axis=1)
    print(f"mean {cosines.mean():.5f}, minimum {cosines.min():.5f}")  # noqa: T201 - `pytest -s` shows it
    assert cosines.mean() >= 0.998, cosines
    assert cosines.min() >= 0.99, texts[cosines.argmin()]
    # No pair of weights saturates, so the sums are those of a CPU with VNNI.
    assert (emulated * native["int8"]).sum(axis=1).min() >= 0.9999
