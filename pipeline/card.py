"""The model card of a bundle: what it is, and the parity that was measured when it was built."""

import math

from minilm.convert import DEFAULT_MODEL
from minilm.runtime.manifest import Manifest
from minilm.verify import Report

__all__ = ["model_card"]

_ROW = "| `{name}` | `{file}` | {size:.1f} MB | {mean} | {minimum} |"


def model_card(manifest: Manifest, report: Report | None) -> str:
    """Markdown with the front matter that the Hub reads.

    Args:
        manifest: Manifest of the bundle, with all its graphs.
        report: Report of the verification, or None where it was skipped; the card then says so.
    """
    model = manifest.model
    lines = [
        "---",
        *(["license: apache-2.0"] if model.id == DEFAULT_MODEL else []),
        "library_name: sentence-transformers",
        "pipeline_tag: sentence-similarity",
        *([f"base_model: {model.id}"] if "/" in model.id else []),
        "tags: [onnx, openvino, int8, sentence-transformers]",
        "---",
        "",
        f"# {model.id.rsplit('/', 1)[-1]}, built by minilm-toolkit",
        "",
        (
            f"Sentence vectors of {model.dimension} elements, {model.pooling} pooling, at most "
            f"{model.max_tokens} tokens a text; made from weights with SHA-256 "
            f"`{model.weights_sha256}`."
        ),
        "",
        "```python",
        "from minilm.runtime import load",
        "",
        'vectors = load(".").encode(["a text", "another"])',
        "```",
        "",
        *_parity(manifest, report),
        "",
        (
            "`manifest.json` lists every file with its SHA-256, and `golden.npz` holds probe texts "
            "with the original's vectors: `toolkit verify` uses them where PyTorch is missing."
        ),
        "",
    ]
    return "\n".join(lines)


def _parity(manifest: Manifest, report: Report | None) -> list[str]:
    if report is None:
        return [
            (
                "This bundle was built without verification: only a few vectors of each variant "
                "were compared with the original's."
            )
        ]
    sizes = {file.path: file.bytes for file in manifest.files}
    rows = []
    for judged in report.variants:
        variant = manifest.variant(judged.name)
        rows.append(
            _ROW.format(
                name=judged.name,
                file=variant.files[0],
                size=sum(sizes[path] for path in variant.files) / 1e6,
                mean=_down(judged.parity.mean),
                minimum=_down(judged.parity.minimum),
            )
        )
    texts = len(report.corpus)
    return [
        (
            f"Cosine of each variant's vectors to the original's, over {texts} texts of many "
            "kinds, rounded down:"
        ),
        "",
        "| variant | file | size | mean | minimum |",
        "|---|---|---:|---:|---:|",
        *rows,
    ]


def _down(figure: float) -> str:
    """Five decimals, never more than was measured; a cosine over 1 is rounding."""
    return f"{math.floor(min(figure, 1.0) * 1e5) / 1e5:.5f}"
