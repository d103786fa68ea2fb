"""The model card of a bundle: what it is, and the parity that it was held to.

It is a file of the bundle, so it holds no figure that depends on the processor of the build.
"""

import json
import re

from minilm.convert import DEFAULT_MODEL
from minilm.runtime.display import markdown_text
from minilm.runtime.manifest import REPORT_DIR, Manifest
from minilm.verify import Report
from minilm.verify.policy import BUILT_IN

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
        *([f"base_model: {_yaml_text(model.id)}"] if "/" in model.id else []),
        "tags: [onnx, openvino, int8, sentence-transformers]",
        "---",
        "",
        f"# {markdown_text(model.id.rsplit('/', 1)[-1])}, built by minilm-toolkit",
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


def _yaml_text(text: str) -> str:
    """A text as a scalar of YAML: as it stands where that is safe, else quoted as JSON does."""
    plain = re.fullmatch(r"[A-Za-z][\w.-]*(/[\w.-]+)+", text, re.ASCII)
    return text if plain else json.dumps(text)


def _parity(manifest: Manifest, report: Report | None) -> list[str]:
    """The thresholds that each variant was held to; a measured cosine depends on the processor."""
    sizes = {file.path: file.bytes for file in manifest.files}
    rows = []
    for variant in manifest.variants:
        thresholds = BUILT_IN.thresholds(variant.name)
        rows.append(
            _ROW.format(
                name=variant.name,
                file=variant.files[0],
                size=sum(sizes[path] for path in variant.files) / 1e6,
                mean=thresholds["cosine-mean"],
                minimum=thresholds["cosine-min"],
            )
        )
    if report is None:
        claim = (
            "This bundle was built without comparing more than a few vectors with the original's."
        )
    else:
        claim = (
            f"The build compared each variant's vectors with the original's over "
            f"{len(report.corpus)} texts of many kinds, and kept this bundle because no cosine "
            f"fell below these thresholds. `{REPORT_DIR}/report.md` has the measured figures."
        )
    return [
        claim,
        "",
        "| variant | file | size | mean at least | each at least |",
        "|---|---|---:|---:|---:|",
        *rows,
    ]
