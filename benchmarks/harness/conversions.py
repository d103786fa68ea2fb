"""Convert the original weights to what each peer loads; runs in sentence-transformers' environment.

    python conversions.py WEIGHTS DESTINATION CALIBRATION

Each conversion is the peer's own, with its own settings. A folder is complete once it stands under
its final name.
"""

import csv
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

__all__ = ["FOLDERS", "main"]

FOLDERS: Final = ("source", "onnx", "flat", "openvino", "ctranslate2", "hub")
_REPOSITORY: Final = "models--sentence-transformers--all-MiniLM-L6-v2"


def main(weights: Path, destination: Path, calibration: Path) -> None:
    """Make every folder that is not there yet.

    Args:
        weights: directory of the original model.
        destination: where the folders of `FOLDERS` go.
        calibration: file of text lines for sentence-transformers' static OpenVINO int8.
    """
    destination.mkdir(parents=True, exist_ok=True)
    onnx = destination / "onnx" / "onnx" / "model.onnx"
    makers: dict[str, Callable[[Path], None]] = {
        "source": lambda folder: _copy(weights, folder),
        "onnx": lambda folder: _onnx(weights, folder),
        "flat": lambda folder: _flat(weights, onnx, folder),
        "openvino": lambda folder: _openvino(weights, calibration, folder),
        "ctranslate2": lambda folder: _ctranslate2(weights, folder),
        "hub": lambda folder: _hub(weights, onnx, folder),
    }
    for name in FOLDERS:
        if not (destination / name).is_dir():
            print(f"converting: {name}", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(dir=destination) as parent:
                made = Path(parent) / name
                makers[name](made)
                made.replace(destination / name)


def _copy(weights: Path, folder: Path) -> None:
    shutil.copytree(weights, folder)


def _onnx(weights: Path, folder: Path) -> None:
    from sentence_transformers import SentenceTransformer, export_dynamic_quantized_onnx_model

    model = SentenceTransformer(
        str(weights),
        backend="onnx",
        device="cpu",
        model_kwargs={"export": True, "provider": "CPUExecutionProvider"},
    )
    model.save_pretrained(str(folder))
    export_dynamic_quantized_onnx_model(model, "avx512_vnni", str(folder))


def _flat(weights: Path, onnx: Path, folder: Path) -> None:
    """The layout of fastembed and light-embed: the graph beside the tokenizer's files."""
    _copy(weights, folder)
    (folder / "model.safetensors").unlink()
    shutil.copyfile(onnx, folder / "model.onnx")


def _openvino(weights: Path, calibration: Path, folder: Path) -> None:
    from sentence_transformers import SentenceTransformer, export_static_quantized_openvino_model

    model = SentenceTransformer(
        str(weights), backend="openvino", device="cpu", model_kwargs={"export": True}
    )
    model.save_pretrained(str(folder))
    saved = SentenceTransformer(str(folder), backend="openvino", device="cpu")
    with tempfile.TemporaryDirectory() as dataset:
        with (Path(dataset) / "train.csv").open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["sentence"])
            rows.writerows([text] for text in calibration.read_text("utf-8").splitlines())
        export_static_quantized_openvino_model(
            saved,
            None,
            str(folder),
            dataset_name=dataset,
            dataset_config_name="default",
            dataset_split="train",
            column_name="sentence",
        )


def _ctranslate2(weights: Path, folder: Path) -> None:
    from importlib import import_module

    converters = import_module("ctranslate2.converters")
    converters.TransformersConverter(str(weights)).convert(str(folder), quantization="int8")
    shutil.copyfile(weights / "tokenizer.json", folder / "tokenizer.json")


def _hub(weights: Path, onnx: Path, folder: Path) -> None:
    """A Hub cache with the one model in it."""
    snapshot = folder / _REPOSITORY / "snapshots" / "local"
    _copy(weights, snapshot)
    (snapshot / "onnx").mkdir()
    shutil.copyfile(onnx, snapshot / "onnx" / "model.onnx")
    (folder / _REPOSITORY / "refs").mkdir()
    (folder / _REPOSITORY / "refs" / "main").write_text("local", encoding="utf-8")


if __name__ == "__main__":
    # Libraries fill caches of their own; the one that EmbedAnything gets is to hold nothing else.
    with tempfile.TemporaryDirectory() as caches:
        os.environ.update({"HF_HUB_OFFLINE": "1", "HF_HOME": caches, "HF_HUB_CACHE": caches})
        main(*(Path(argument) for argument in sys.argv[1:4]))
