"""`toolkit inspect`."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from minilm.cli.options import DEFAULT_BUNDLE, BundleArgument, JsonOption
from minilm.runtime.manifest import Manifest, read

if TYPE_CHECKING:
    from minilm.runtime.selection import VariantSupport

__all__ = ["command"]


def command(
    bundle: BundleArgument = DEFAULT_BUNDLE,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Hash every file and compare with the manifest.")
    ] = False,
    files: Annotated[bool, typer.Option("--files", help="Every file, with its SHA-256.")] = False,
    operators: Annotated[
        bool, typer.Option("--operators", help="The operators of each variant's graph.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a bundle holds: the model, and each variant with its size and where it runs.

    \b
    Example:
      toolkit inspect artifacts/all-MiniLM-L6-v2
      toolkit inspect --files --operators
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
        if files:
            _print_files(manifest)
        if operators:
            _print_operators(manifest)


def _print(manifest: Manifest, *, checked: bool) -> None:
    from minilm.cli.console import print_table, size
    from minilm.runtime.backends import BACKEND_MODULES
    from minilm.runtime.hardware.host import detect_host
    from minilm.runtime.selection import assess

    model = manifest.model
    facts = (
        ("model", model.id if model.revision is None else f"{model.id}@{model.revision}"),
        ("weights", f"SHA-256 {model.weights_sha256[:12]}…; whole: --json"),
        ("vectors", f"{model.dimension} numbers, {'unit' if model.normalized else 'any'} length"),
        ("input", f"up to {model.max_tokens} tokens, {model.pooling} pooling"),
        ("files", f"{len(manifest.files)}, {size(sum(file.bytes for file in manifest.files))}"),
        ("hashes", "every file is as the manifest says" if checked else "not compared: --check"),
    )
    print_table("bundle", ("", ""), facts)
    sizes = {file.path: file.bytes for file in manifest.files}
    here = {each.name: each for each in assess(manifest, detect_host(BACKEND_MODULES))}
    taken = next((each.name for each in here.values() if each.runnable), None)
    print_table(
        "variants",
        ("name", "size", "backend", "here"),
        [
            (
                variant.name,
                size(sum(sizes[path] for path in variant.files)),
                f"{variant.backend} >= {variant.backend_version}",
                _support(here[variant.name], taken),
            )
            for variant in manifest.variants
        ],
    )


def _support(found: "VariantSupport", taken: str | None) -> str:
    """Whether a variant runs here; `toolkit doctor` has the reasons."""
    if found.name == taken:
        return "taken"
    return "runs" if found.runnable else "cannot run: see doctor"


def _print_files(manifest: Manifest) -> None:
    from minilm.cli.console import print_table, size

    print_table(
        "files",
        ("path", "size", "sha256"),
        [(file.path, size(file.bytes), file.sha256) for file in manifest.files],
    )


def _print_operators(manifest: Manifest) -> None:
    from minilm.cli.console import print_table

    print_table(
        "operators",
        ("name", "opset", "operators"),
        [(each.name, str(each.opset), _operators(each.operators)) for each in manifest.variants],
    )


def _operators(counts: Mapping[str, int]) -> str:
    """The commonest first: what a graph spends its nodes on shows at a glance."""
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {name}" for name, count in most)
