"""Install the lowest versions that the package declares, and embed with them.

    python .ci/lowest.py [BUNDLE]

Each environment gets the built wheel and, for every direct requirement, the lowest release that
`pyproject.toml` allows; for a variant of the bundle, the lowest release of its backend that the
manifest names. Vectors are compared with the bundle's golden ones. Needs a package index.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CPU_EXTRAS = {"onnxruntime": "cpu", "openvino": "openvino"}

EMBED = """
import sys
import numpy as np
from minilm.runtime import load
bundle, name = sys.argv[1:]
target, precision = name.split("/")
with np.load(f"{bundle}/golden.npz", allow_pickle=False) as golden:
    vectors, ends, raw = golden["vectors"], golden["text_ends"].tolist(), golden["texts"].tobytes()
texts = [raw[start:end].decode() for start, end in zip([0, *ends], ends)]
with load(bundle, target=target, precision=precision, on_long="truncate") as encoder:
    cosine = float((encoder.encode(texts) * vectors).sum(axis=1).min())
print(f"{name}: cosine to the golden vectors at least {cosine:.4f}")
sys.exit(cosine < 0.98)
"""

PARQUET = """
import sys
import pyarrow.parquet
from minilm.cli import main
code = main(["embed", "--bundle", sys.argv[1], "--input", sys.argv[2], "--output", sys.argv[3]])
rows = pyarrow.parquet.read_table(sys.argv[3]).num_rows
print(f"toolkit embed wrote {rows} rows of Parquet")
sys.exit(code or rows != 2)
"""


def main(bundle: Path) -> None:
    """Check every extra and every variant that a CPU runs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    with tempfile.TemporaryDirectory() as scratch:
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", scratch, str(ROOT))
        (wheel,) = Path(scratch).glob("*.whl")
        manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
        for variant in manifest["variants"]:
            extra = CPU_EXTRAS.get(variant["backend"])
            if extra is None and variant["backend"] in {"onnxruntime-gpu"}:
                continue
            wanted = [*project["dependencies"], *(extras[extra] if extra else [])]
            pins = lowest(wanted, {variant["backend"]: variant["backend_version"]})
            python = environment(Path(scratch) / variant["name"], wheel, [extra or ""], pins)
            run(python, "-c", EMBED, str(bundle), variant["name"])
        wanted = [*project["dependencies"], *extras["cpu"], *extras["cli"], *extras["parquet"]]
        python = environment(
            Path(scratch) / "parquet", wheel, ["cpu", "cli", "parquet"], lowest(wanted, {})
        )
        texts = Path(scratch) / "texts.txt"
        texts.write_text("a text\nanother\n", encoding="utf-8")
        run(python, "-c", PARQUET, str(bundle), str(texts), str(Path(scratch) / "out.parquet"))


def lowest(requirements: Iterable[str], raised: dict[str, str]) -> list[str]:
    """Each requirement as `name==version`, of the lowest release that it and `raised` allow."""
    pins = []
    for requirement in requirements:
        name, bound = re.match(r"([\w-]+)(?:\[[^]]*\])?>=([\d.]+)", requirement).groups()
        least = max(numbers(bound), numbers(raised.get(name, "0")))
        listing = output(
            *(sys.executable, "-m", "pip", "index", "versions", name, "--only-binary", ":all:")
        )
        versions = re.search(r"Available versions: (.*)", listing).group(1).split(", ")
        version = min((v for v in versions if numbers(v) >= least), key=numbers)
        pins.append(f"{name}=={version}")
    return pins


def numbers(version: str) -> tuple[int, ...]:
    """A version for comparison: "1.24" is 1.24.0."""
    found = [int(number) for number in version.split(".")]
    return (*found, *(0 for _ in range(4 - len(found))))


def environment(directory: Path, wheel: Path, extras: list[str], pins: list[str]) -> str:
    """A virtual environment with the wheel and exactly `pins`; its interpreter."""
    print(f"{directory.name}: {', '.join(pins)}", flush=True)
    venv.create(directory, with_pip=True)
    python = str(directory / "bin" / "python")
    named = f"minilm-toolkit[{','.join(extras)}] @ {wheel.as_uri()}"
    run(python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", named, *pins)
    return python


def run(*command: str) -> None:
    """Run a command; end with its code if it fails."""
    done = subprocess.run(command, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def output(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "artifacts/all-MiniLM-L6-v2")
