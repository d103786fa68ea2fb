"""`toolkit doctor`."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from minilm.cli.options import DEFAULT_BUNDLE, BundleArgument, JsonOption

if TYPE_CHECKING:
    from minilm.runtime.host import Host
    from minilm.runtime.selection import Assessment

__all__ = ["command"]


def command(bundle: BundleArgument = DEFAULT_BUNDLE, *, as_json: JsonOption = False) -> None:
    """Show what this machine has, and which variant would run on it and why.

    \b
    Example:
      toolkit doctor
      toolkit doctor my-bundle --json
    """
    from minilm.cli.console import note, print_json
    from minilm.runtime import host, manifest, selection

    here = host.describe()
    found = bundle.is_dir() or bundle != DEFAULT_BUNDLE
    variants = selection.assess(manifest.read(bundle), here) if found else ()
    if as_json:
        print_json({"host": asdict(here), "variants": [asdict(variant) for variant in variants]})
        return
    _print(here, variants)
    if not found:
        note(f"no bundle at {bundle}, so nothing is said of variants: `toolkit build` makes one")


def _print(here: "Host", variants: Sequence["Assessment"]) -> None:
    from minilm.cli.console import print_table

    backends = [f"{name} {version}" for name, version in here.backends.items()]
    facts = (
        ("system", f"{here.system}, {here.arch}"),
        ("instruction sets", ", ".join(here.instruction_sets) or "none that matter here"),
        ("cores", f"{here.cores} ({here.cores_reason})"),
        ("backends", ", ".join(backends) or 'none: pip install "minilm-toolkit[cpu]"'),
        ("ONNX Runtime providers", ", ".join(here.providers or ()) or "none"),
    )
    print_table("machine", ("", ""), facts)
    if variants:
        print_table(
            "variants, best first",
            ("variant", "runs", "why"),
            [(each.name, "yes" if each.runnable else "no", each.reason) for each in variants],
        )
