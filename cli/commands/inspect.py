"""`toolkit inspect`."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

import typer
from minilm.cli.options import DEFAULT_BUNDLE, BundleArgument, JsonOption
from minilm.runtime.manifest import Manifest, read

__all__ = ["command"]


def command(
    bundle: BundleArgument = DEFAULT_BUNDLE,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Hash every file and compare with the manifest.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a bundle holds: files, sizes, hashes, and each variant's operators.

    \b
    Example:
      toolkit inspect artifacts/all-MiniLM-L6-v2
      toolkit inspect --check --json
    """
    from minilm.cli.console import note, print_json

    manifest = read(bundle)
    if check:
        from minilm.runtime.integrity import check as check_files

        for path in check_files(bundle, manifest, "full"):
            note(f"{path} is not in the manifest, and nothing reads it")
    if as_json:
        print_json(asdict(manifest))
    else:
        _print(manifest, checked=check)


def _print(manifest: Manifest, *, checked: bool) -> None:
    from minilm.cli.console import print_table, size

    model = manifest.model
    facts = (
        ("model", model.id if model.revision is None else f"{model.id}@{model.revision}"),
        ("weights", f"sha256 {model.weights_sha256}"),
        ("vectors", f"{model.dimension} numbers, {'unit' if model.normalized else 'any'} length"),
        ("input", f"up to {model.max_tokens} tokens, {model.pooling} pooling"),
        ("files", f"{len(manifest.files)}, {size(sum(file.bytes for file in manifest.files))}"),
        ("hashes", "every file is as the manifest says" if checked else "not compared: --check"),
    )
    print_table("bundle", ("", ""), facts)
    print_table(
        "files",
        ("path", "size", "sha256"),
        [(file.path, size(file.bytes), file.sha256) for file in manifest.files],
    )
    sizes = {file.path: file.bytes for file in manifest.files}
    print_table(
        "variants",
        ("name", "size", "backend", "opset", "operators"),
        [
            (
                variant.name,
                size(sum(sizes[path] for path in variant.files)),
                f"{variant.backend} >= {variant.backend_version}",
                str(variant.opset),
                _operators(variant.operators),
            )
            for variant in manifest.variants
        ],
    )


def _operators(counts: Mapping[str, int]) -> str:
    """The commonest first: what a graph spends its nodes on shows at a glance."""
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {name}" for name, count in most)
