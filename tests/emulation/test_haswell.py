"""The int8 variants on a processor with AVX2 and nothing newer, emulated by QEMU's user mode.

Without VNNI, products of int8 are summed in saturating 16 bits, so parity there is a figure of its
own. QEMU emulates AVX2 since 7.2 (https://wiki.qemu.org/ChangeLog/7.2).
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
from minilm.verify.policy import BUILT_IN
from minilm.verify.reference.corpus import written_samples

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
bundle, output, options = sys.argv[1:]
if features["AVX2"]:
    from minilm.runtime import load
    encoder = load(bundle, precision="int8", threads=1, verify="sizes", **json.loads(options))
    np.save(output, encoder.encode(json.load(sys.stdin)))
print(json.dumps({name: bool(features[name]) for name in ("AVX2", "AVX512F", "AVX512VNNI")}))
"""


def _namespace(directory: Path) -> str:
    """A PYTHONPATH with the loader and its dependencies: it runs no hook of an editable install."""
    (directory / "minilm").mkdir(parents=True)
    package = Path(minilm.runtime.__file__).parent
    (directory / "minilm/runtime").symlink_to(package, target_is_directory=True)
    return os.pathsep.join([str(directory), str(Path(np.__file__).parents[1])])


def _embed_emulated(
    bundle: Path, texts: list[str], options: dict[str, str], scratch: Path
) -> npt.NDArray[np.float32]:
    output = scratch / "vectors.npy"
    # The virtual environment's `python` finds its packages by its own path, QEMU hides that path.
    python = str(Path(sys.executable).resolve())
    done = subprocess.run(
        [
            QEMU or "",
            "-cpu",
            "Haswell",
            python,
            "-c",
            _CHILD,
            str(bundle),
            str(output),
            json.dumps(options),
        ],
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


def _texts() -> list[str]:
    """A short text of each kind in the built-in corpus, special tokens among them."""
    kinds: dict[str, str] = {}
    for sample in written_samples():
        if 0 < len(sample.text) <= 90:
            kinds.setdefault(sample.category, sample.text)
    return list(kinds.values())


@pytest.mark.parametrize("variant", ["cpu/int8", "openvino/int8", "cuda/int8"])
def test_int8_holds_on_avx2(variant: str, bundle: Path, tmp_path: Path) -> None:
    texts = _texts()
    assert len(texts) >= 28
    options = {"target": variant.partition("/")[0]}
    if variant == "cuda/int8":
        options["provider"] = "CPUExecutionProvider"
    emulated = _embed_emulated(bundle, texts, options, tmp_path)
    original = load(bundle, target="cpu", precision="fp32", threads=1).encode(texts)
    cosines = (emulated * original).sum(axis=1)
    gates = BUILT_IN.thresholds("cpu/int8")
    assert cosines.mean() >= (gates["cosine-mean"] or 1), cosines
    assert cosines.min() >= (gates["cosine-min"] or 1), texts[cosines.argmin()]
    if variant != "openvino/int8":
        # No pair of weights saturates, so the sums are those of a processor with VNNI; OpenVINO
        # computes in floating point where VNNI is missing.
        native = load(bundle, precision="int8", threads=1, **options).encode(texts)  # type: ignore[arg-type] # str for Literal
        assert (emulated * native).sum(axis=1).min() >= 0.9999
