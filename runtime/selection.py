"""Which variant of a bundle runs best on a host, and which facts say so."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, get_args

from minilm.runtime.backends import BACKENDS
from minilm.runtime.errors import BackendUnavailable, InvalidArtifact, UsageError
from minilm.runtime.hardware.cuda import PROVIDER
from minilm.runtime.hardware.host import Host
from minilm.runtime.manifest import Manifest, Precision, Target, Variant

__all__ = ["VariantSupport", "assess", "choose", "unavailable_reason"]

_FAST_INT8: Final = ("amx_int8", "avx512_vnni", "avx_vnni", "asimddp")


@dataclass(frozen=True, kw_only=True)
class VariantSupport:
    """Support of one variant on a host.

    Attributes:
        name: Name of the variant.
        runnable: Whether it runs there.
        reason: Facts behind its rank, or why it cannot run.
    """

    name: str
    runnable: bool
    reason: str


# Ordered from fastest to slowest, as measured (see the repository's benchmarks). A variant's rank
# is the first row with its name and an instruction set that the host supports; an empty tuple
# matches every host.
_PREFERENCE: Final[tuple[tuple[str, tuple[str, ...], str], ...]] = (
    ("cuda/fp16", (), "a GPU beats any CPU in throughput"),
    ("cuda/int8", (), "a GPU beats any CPU in throughput; smaller than fp16, not faster"),
    ("openvino/bf16", ("amx_bf16",), "bf16 on matrix tiles beats int8 vector products"),
    # On a Zen 4: 0.7 of cpu/int8's processor time, short texts and long, tokenization included.
    # Where it has not been measured beside the others, it comes after them.
    ("native/int8", ("avx512_vnni",), "int8 dot products without padding, and the quickest start"),
    ("cpu/int8", _FAST_INT8, "int8 dot products in hardware, and a quick start"),
    ("native/int8", _FAST_INT8, "int8 dot products in hardware, not measured on this kind of CPU"),
    ("openvino/int8", _FAST_INT8, "int8 dot products in hardware"),
    ("openvino/bf16", ("avx512_bf16", "bf16"), "bf16 dot products in hardware"),
    # On a Zen 3: 1.5 times the rate of float32 for short texts, 1.3 times for long ones, half the
    # time for one text.
    ("cpu/int8", ("avx2",), "int8 sums in 16 bits, which its weights never exceed, beat float32"),
    ("native/int8", ("avx2",), "exact int8 products in 16 bits beat float32"),
    ("cpu/fp32", (), "float32 runs at full speed on any CPU"),
    ("openvino/bf16", (), "no bf16 products in this CPU: it computes in float32"),
    ("openvino/int8", (), "no int8 dot products in this CPU: it computes in float32"),
    ("native/int8", (), "no int8 products in this CPU that this version has measured"),
    ("cpu/int8", (), "no int8 products in this CPU that this version has measured"),
)


def assess(manifest: Manifest, host: Host) -> tuple[VariantSupport, ...]:
    """Every variant of a bundle as `host` sees it, best first, those that cannot run last."""
    ranked = []
    for variant in manifest.variants:
        rank, reason = _rank(variant, host)
        obstacle = unavailable_reason(variant, host)
        assessment = VariantSupport(
            name=variant.name, runnable=obstacle is None, reason=obstacle or reason
        )
        ranked.append(((obstacle is not None, rank), assessment))
    return tuple(assessment for _, assessment in sorted(ranked, key=lambda pair: pair[0]))


def choose(  # noqa: PLR0913 - what is there, and each part of what is asked for
    manifest: Manifest,
    host: Host,
    *,
    target: str | None = None,
    precision: str | None = None,
    provider: str | None = None,
    absent: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> tuple[Variant, str]:
    """The variant to load, and why it is that one.

    Args:
        manifest: Manifest of the bundle.
        host: Host where it is to run.
        target: Target that is required; None for any.
        precision: Precision that is required; None for any.
        provider: ONNX Runtime provider that is required; None for the target's own.
        absent: Missing files of each variant that this copy of the bundle came without.

    Returns:
        The variant and one or two sentences with the facts that decided.

    Raises:
        UsageError: no such target, precision or provider exists.
        InvalidArtifact: the bundle has no variant that was asked for.
        BackendUnavailable: none of those asked for can run here: says what to install.
    """
    asked = _check_request(target, precision)
    wanted = {
        variant.name: variant
        for variant in manifest.variants
        if target in {None, variant.target} and precision in {None, variant.precision}
    }
    here = {name: variant for name, variant in wanted.items() if name not in absent}
    if not here:
        raise InvalidArtifact(_nothing_here(manifest, asked, wanted, absent))
    wanted = here
    if provider is not None:
        return _choose_for_provider(tuple(wanted.values()), host, provider, asked)
    assessments = [entry for entry in assess(manifest, host) if entry.name in wanted]
    best = assessments[0]
    if not best.runnable:
        reasons = "; ".join(f"{entry.name}: {entry.reason}" for entry in assessments)
        raise BackendUnavailable(f"{asked} cannot run on this machine: {reasons}")
    request = f", among {asked}" if target or precision else ""
    why = f"{best.name}{request}: {best.reason}."
    if barred := [entry.name for entry in assessments if not entry.runnable]:
        why += f" {', '.join(barred)} cannot run here."
    if absent:
        why += f" This copy of the bundle came without {', '.join(absent)}."
    if not host.instruction_sets:
        why += " The instruction sets of this processor are unknown: no more than that is assumed."
    return wanted[best.name], why


def unavailable_reason(variant: Variant, host: Host) -> str | None:
    """Why `variant` cannot run on `host`; None if it can."""
    backend = BACKENDS.get(variant.backend)
    if backend is None:
        return f"it needs {variant.backend!r}, which this version of the loader cannot drive"
    return backend.unavailable_reason(variant, host)


def _nothing_here(
    manifest: Manifest,
    asked: str,
    wanted: Collection[str],
    absent: Mapping[str, Collection[str]],
) -> str:
    has = [variant.name for variant in manifest.variants if variant.name not in absent]
    found = f"it has: {', '.join(has) or 'none'}"
    if not wanted:
        return f"the bundle has no variant of {asked}; {found}"
    files = ", ".join(path for name in wanted for path in absent[name])
    return (
        f"this copy of the bundle came without {', '.join(wanted)} ({files}); {found}: fetch the "
        "bundle again from where it came"
    )


def _check_request(target: str | None, precision: str | None) -> str:
    """The request in words, after checking that its names exist."""
    parts = []
    for label, value, known in (
        ("target", target, get_args(Target)),
        ("precision", precision, get_args(Precision)),
    ):
        if value is not None and value not in known:
            raise UsageError(f"unknown {label} {value!r}: choose one of {', '.join(known)}")
        if value is not None:
            parts.append(f"{label}={value!r}")
    return " and ".join(parts) or "any target"


def _choose_for_provider(
    wanted: tuple[Variant, ...], host: Host, provider: str, asked: str
) -> tuple[Variant, str]:
    own = {
        variant.name: backend.provider
        for variant in wanted
        if (backend := BACKENDS.get(variant.backend)) and backend.provider
    }
    onnx = [variant for variant in wanted if variant.name in own]
    if not onnx:
        raise UsageError(f"provider={provider!r} is ONNX Runtime's, and {asked} does not run on it")
    # Those made for the provider first: "CPUExecutionProvider" alone is no wish for a cuda graph.
    variant = min(onnx, key=lambda found: (own[found.name] != provider, _rank(found, host)[0]))
    if obstacle := BACKENDS[variant.backend].missing(variant, host):
        raise BackendUnavailable(f"{variant.name} cannot run on this machine: {obstacle}")
    if provider not in (host.providers or ()):
        raise BackendUnavailable(
            f"the ONNX Runtime installed here has no {provider!r}; it has: "
            f"{', '.join(host.providers or ())}"
        )
    if provider == PROVIDER and host.gpu and host.gpu.obstacle:
        raise BackendUnavailable(f"provider={provider!r} cannot run here: {host.gpu.obstacle}")
    made_for = own[variant.name]
    contrast = "" if provider == made_for else f" instead of {made_for}, which it was made for"
    return variant, f"{variant.name} on {provider}, asked for by name{contrast}."


def _rank(variant: Variant, host: Host) -> tuple[int, str]:
    for rank, (name, sets, reason) in enumerate(_PREFERENCE):
        if name != variant.name:
            continue
        has = [name for name in sets if name in host.instruction_sets]
        if has or not sets:
            return rank, f"{reason} ({has[0]})" if has else reason
    return len(_PREFERENCE), "a variant that this version has no measurements of"
