"""The rows of the tables: which peers, where each is installed, how its user would start it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = ["MODEL_ID", "OURS", "PEERS", "REFERENCE", "PeerConfig"]

MODEL_ID: Final = "sentence-transformers/all-MiniLM-L6-v2"
OURS: Final = "minilm-toolkit"
"""Environment of this project, installed from a wheel; all others are those of peers."""
REFERENCE: Final = "sentence-transformers torch"
"""The row whose vectors are the truth."""


@dataclass(frozen=True, kw_only=True)
class PeerConfig:
    """A row.

    Attributes:
        name: of the row.
        environment: folder of the virtual environment; its requirements file has the same name.
        module: of `benchmarks.peers`.
        options: for the module's `open_peer`.
        folder: of the converted models; empty for the bundle.
        requires: what its user installs, with extras; the size is that of all this brings. Empty if
            that is not all.
        start: program whose `sys.argv[1]` is that folder and that ends with a first vector; empty
            if a start cannot be measured, and then `note` says why.
        note: stands under the table.
    """

    name: str
    environment: str
    module: str
    folder: str
    requires: str
    options: Mapping[str, str] = field(default_factory=dict)
    start: str = ""
    note: str = ""

    @property
    def ours(self) -> bool:
        """Whether it is a row of this project."""
        return self.environment == OURS


def _ours(target: str, precision: str) -> PeerConfig:
    extra = "" if target == "native" else f"[{target}]"
    return PeerConfig(
        name=f"minilm {target}/{precision}",
        environment=OURS,
        module="minilm",
        folder="",
        requires=f"minilm-toolkit{extra}",
        options={"target": target, "precision": precision},
        start=(
            "import sys; from minilm.runtime import load; "
            f"load(sys.argv[1], target={target!r}, precision={precision!r}).encode('a text')"
        ),
    )


def _sentence_transformers(name: str, folder: str, extra: str, **options: str) -> PeerConfig:
    kwargs = {"file_name": options["file_name"]} if "file_name" in options else {}
    return PeerConfig(
        name=f"sentence-transformers {name}",
        environment="sentence-transformers",
        module="sentence_transformers",
        folder=folder,
        requires=f"sentence-transformers{extra}",
        options=options,
        start=(
            "import sys; from sentence_transformers import SentenceTransformer; "
            f"SentenceTransformer(sys.argv[1], backend={options['backend']!r}, device='cpu', "
            f"model_kwargs={kwargs!r}).encode('a text')"
        ),
    )


def _embed_anything(backend: str) -> PeerConfig:
    return PeerConfig(
        name=f"EmbedAnything ({'ONNX Runtime' if backend == 'ort' else 'Candle'})",
        environment="embed-anything",
        module="embed_anything",
        folder="hub",
        requires="embed-anything",
        options={"model": MODEL_ID, "backend": backend},
        note="no start: it asks the Hub for each file before it looks into its cache",
    )


PEERS: Final[tuple[PeerConfig, ...]] = (
    _ours("native", "int8"),
    _ours("cpu", "fp32"),
    _ours("cpu", "int8"),
    _ours("openvino", "bf16"),
    _ours("openvino", "int8"),
    _sentence_transformers("torch", "source", "", backend="torch"),
    _sentence_transformers(
        "onnx int8",
        "onnx",
        "[onnx]",
        backend="onnx",
        file_name="onnx/model_qint8_avx512_vnni.onnx",
    ),
    _sentence_transformers(
        "openvino", "openvino", "[openvino]", backend="openvino", file_name="openvino_model.xml"
    ),
    _sentence_transformers(
        "openvino int8",
        "openvino",
        "[openvino]",
        backend="openvino",
        file_name="openvino/openvino_model_qint8_quantized.xml",
    ),
    PeerConfig(
        name="fastembed",
        environment="fastembed",
        module="fastembed",
        folder="flat",
        requires="fastembed",
        note="runs the fp32 graph that sentence-transformers exports",
        options={"model": MODEL_ID},
        start=(
            "import sys; from fastembed import TextEmbedding; "
            f"next(iter(TextEmbedding({MODEL_ID!r}, specific_model_path=sys.argv[1])"
            ".embed(['a text'])))"
        ),
    ),
    PeerConfig(
        name="light-embed",
        environment="light-embed",
        module="light_embed",
        folder="flat",
        requires="light-embed",
        note="runs the fp32 graph that sentence-transformers exports",
        options={"onnx_file": "model.onnx", "pooling_mode": "mean"},
        start=(
            "import sys; from light_embed import TextEmbedding; TextEmbedding(sys.argv[1], "
            "model_config={'onnx_file': 'model.onnx', 'pooling_mode': 'mean', 'normalize': True})"
            ".encode('a text')"
        ),
    ),
    _embed_anything("candle"),
    _embed_anything("ort"),
    PeerConfig(
        name="CTranslate2 int8",
        environment="sentence-transformers",
        module="ctranslate2",
        folder="ctranslate2",
        requires="",
        options={"compute_type": "int8"},
        note=(
            "the encoder alone: this benchmark adds tokenizing, sorting and pooling; no start and "
            "no size, since it is no text encoder by itself"
        ),
    ),
)
