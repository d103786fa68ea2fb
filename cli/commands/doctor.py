"""`toolkit doctor`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from minilm.cli.options import DEFAULT_BUNDLE, BundleArgument, JsonOption

if TYPE_CHECKING:
    from minilm.runtime.hardware.cuda import Gpu
    from minilm.runtime.hardware.host import Host
    from minilm.runtime.manifest import Manifest
    from minilm.runtime.selection import VariantSupport

__all__ = ["command"]


def command(bundle: BundleArgument = DEFAULT_BUNDLE, *, as_json: JsonOption = False) -> None:
    """Show what this machine has, and for every variant whether it would run on it and why.

    "taken" is the one that `load` and `toolkit embed` take unless another is asked for.

    \b
    Example:
      toolkit doctor
      toolkit doctor my-bundle --json
    """
    from minilm.cli.console import note, print_json
    from minilm.runtime import integrity, manifest
    from minilm.runtime.backends import BACKEND_MODULES
    from minilm.runtime.hardware.host import detect_host

    here = detect_host(BACKEND_MODULES)
    found = bundle.is_dir() or bundle != DEFAULT_BUNDLE
    content = manifest.read(bundle) if found else None
    variants = _assess(bundle, content, here) if content else ()
    taken = next((variant.name for variant in variants if variant.runnable), None)
    if as_json:
        print_json(
            {
                "host": asdict(here),
                "taken": taken,
                "variants": [asdict(variant) for variant in variants],
            }
        )
    else:
        _print(here, variants, taken)
    if content is None:
        note(f"no bundle at {bundle}, so nothing is said of variants: `toolkit build` makes one")
    else:
        integrity.check_loadable(bundle, content)  # a bundle at fault runs nowhere


def _assess(bundle: Path, content: "Manifest", here: "Host") -> tuple["VariantSupport", ...]:
    """Every variant that there is: those of the bundle best first, then those that it lacks."""
    from minilm.runtime.integrity import missing_files
    from minilm.runtime.manifest import VARIANTS
    from minilm.runtime.selection import VariantSupport, assess

    has = {variant.name for variant in content.variants}
    absent = {v.name: lost for v in content.variants if (lost := missing_files(bundle, v))}
    reasons = {
        **{name: f"this copy came without {', '.join(lost)}" for name, lost in absent.items()},
        **{name: "the bundle has no such variant" for name in VARIANTS if name not in has},
    }
    return (
        *(support for support in assess(content, here) if support.name not in absent),
        *(
            VariantSupport(name=name, runnable=False, reason=reason)
            for name, reason in reasons.items()
        ),
    )


def _gpu(found: "Gpu") -> str:
    major, minor = found.capability
    name = f"{found.name}, sm_{major}{minor}" if found.name else "none"
    return f"{name}: {found.obstacle}" if found.obstacle else name


def _native() -> str:
    """Kernels that the native encoder has for this processor, fastest first."""
    from minilm.runtime.errors import BackendUnavailable
    from minilm.runtime.native import available_kernels, is_built

    if not is_built():
        return "not compiled in this installation"
    try:
        return ",".join(available_kernels())
    except BackendUnavailable as error:
        return str(error)


def _print(here: "Host", variants: Sequence["VariantSupport"], taken: str | None) -> None:
    from minilm.cli.console import print_table

    backends = [f"{name} {version}" for name, version in here.backends.items()]
    facts = (
        ("system", f"{here.system}, {here.arch}"),
        ("instruction sets", ", ".join(here.instruction_sets) or "none that matter here"),
        ("cores", f"{here.cores} ({here.cores_reason})"),
        ("backends", ", ".join(backends) or 'none: pip install "minilm-toolkit[cpu]"'),
        ("native encoder", _native()),
        ("ONNX Runtime providers", ", ".join(here.providers or ()) or "none"),
        *([("GPU", _gpu(here.gpu))] if here.gpu else []),
    )
    print_table("machine", ("", ""), facts)
    if variants:
        print_table(
            "variants, best first",
            ("variant", "runs", "why"),
            [
                (
                    each.name,
                    "taken" if each.name == taken else "yes" if each.runnable else "no",
                    each.reason,
                )
                for each in variants
            ],
        )
