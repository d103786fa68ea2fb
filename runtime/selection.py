"""Which variant of a bundle runs best on a host, and which facts say so."""

import re
from dataclasses import dataclass
from typing import Final, get_args

from minilm.runtime.errors import BackendUnavailable, InvalidArtifact, UsageError
from minilm.runtime.hardware.cuda import PROVIDER, Gpu
from minilm.runtime.hardware.host import Host
from minilm.runtime.manifest import Manifest, Precision, Target, Variant

__all__ = ["MODULES", "VariantSupport", "assess", "choose"]

_FAST_INT8: Final = ("amx_int8", "avx512_vnni", "avx_vnni", "asimddp")

MODULES: Final = {
    "onnxruntime": "onnxruntime",
    "onnxruntime-gpu": "onnxruntime",
    "openvino": "openvino",
}
"""Backend that a variant names to the module that it is imported as."""
_EXTRAS: Final = {"cpu": "cpu", "openvino": "openvino", "cuda": "cuda"}
_PROVIDERS: Final = {"cpu": "CPUExecutionProvider", "cuda": PROVIDER}


@dataclass(frozen=True, kw_only=True)
class VariantSupport:
    """What a host makes of one variant: whether it runs there, and the facts behind its rank."""

    name: str
    runnable: bool
    reason: str


# Fastest first, as measured (see the repository's benchmarks): the first line that fits a variant
# and one of whose instruction sets the host has is its rank; no sets means any host.
_PREFERENCE: Final[tuple[tuple[str, tuple[str, ...], str], ...]] = (
    ("cuda/fp16", (), "a GPU beats any CPU in throughput"),
    ("cuda/int8", (), "a GPU beats any CPU in throughput; smaller than fp16, not faster"),
    ("openvino/int8", ("amx_int8",), "int8 on matrix tiles is the fastest on a CPU"),
    ("openvino/bf16", ("amx_bf16",), "bf16 on matrix tiles beats int8 vector products"),
    ("cpu/int8", _FAST_INT8, "int8 dot products in hardware, and a quick start"),
    ("openvino/int8", _FAST_INT8, "int8 dot products in hardware"),
    ("openvino/bf16", ("avx512_bf16", "bf16"), "bf16 dot products in hardware"),
    ("cpu/fp32", (), "float32 runs at full speed on any CPU"),
    ("openvino/bf16", (), "no bf16 products in this CPU: it computes in float32"),
    ("cpu/int8", (), "no int8 dot products in this CPU: slower or less exact here"),
    ("openvino/int8", (), "no int8 dot products in this CPU: slower or less exact here"),
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


def choose(
    manifest: Manifest,
    host: Host,
    *,
    target: str | None = None,
    precision: str | None = None,
    provider: str | None = None,
) -> tuple[Variant, str]:
    """The variant to load, and why it is that one.

    Args:
        manifest: of the bundle.
        host: where it is to run.
        target: take only variants of this target.
        precision: take only variants of this precision.
        provider: ONNX Runtime provider asked for by name, instead of the target's own.

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
    if not wanted:
        has = ", ".join(variant.name for variant in manifest.variants) or "none"
        raise InvalidArtifact(f"the bundle has no variant of {asked}; it has: {has}")
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
    return wanted[best.name], why


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
    onnx = [variant for variant in wanted if MODULES.get(variant.backend) == "onnxruntime"]
    if not onnx:
        raise UsageError(f"provider={provider!r} is ONNX Runtime's, and {asked} does not run on it")
    # Those made for the provider first: "CPUExecutionProvider" alone is no wish for a cuda graph.
    variant = min(
        onnx, key=lambda found: (_PROVIDERS[found.target] != provider, _rank(found, host)[0])
    )
    if obstacle := _backend_obstacle(variant, host):
        raise BackendUnavailable(f"{variant.name} cannot run on this machine: {obstacle}")
    if provider not in (host.providers or ()):
        raise BackendUnavailable(
            f"the ONNX Runtime installed here has no {provider!r}; it has: "
            f"{', '.join(host.providers or ())}"
        )
    if provider == PROVIDER and host.gpu and host.gpu.obstacle:
        raise BackendUnavailable(f"provider={provider!r} cannot run here: {host.gpu.obstacle}")
    own = _PROVIDERS[variant.target]
    contrast = "" if provider == own else f" instead of {own}, which it was made for"
    return variant, f"{variant.name} on {provider}, asked for by name{contrast}."


def _rank(variant: Variant, host: Host) -> tuple[int, str]:
    for rank, (name, sets, reason) in enumerate(_PREFERENCE):
        if name != variant.name:
            continue
        has = [name for name in sets if name in host.instruction_sets]
        if has or not sets:
            return rank, f"{reason} ({has[0]})" if has else reason
    return len(_PREFERENCE), "a variant that this version has no measurements of"


def unavailable_reason(variant: Variant, host: Host) -> str | None:
    """Why `variant` cannot run on `host`, or None."""
    if obstacle := _backend_obstacle(variant, host):
        return obstacle
    if variant.target != "cuda":
        return None
    if PROVIDER not in (host.providers or ()):
        only = f", only {', '.join(host.providers)}" if host.providers else ""
        return f"the ONNX Runtime installed here has no {PROVIDER}{only}: {_install_line(variant)}"
    return _gpu_obstacle(variant, host.gpu) if host.gpu else None


def _gpu_obstacle(variant: Variant, gpu: Gpu) -> str | None:
    if gpu.obstacle:
        return gpu.obstacle
    least = next((name for name in variant.instruction_sets if name.startswith("sm_")), "sm_0")
    has = gpu.capability[0] * 10 + gpu.capability[1]
    if has < int(least.removeprefix("sm_")):
        return f"it is made for {least} and later, and {gpu.name} is sm_{has}"
    return None


def _backend_obstacle(variant: Variant, host: Host) -> str | None:
    module = MODULES.get(variant.backend)
    if module is None:
        return f"it needs {variant.backend!r}, which this version of the loader cannot drive"
    found = host.backends.get(module)
    if found is None:
        return f"{variant.backend} is not installed: {_install_line(variant)}"
    if _numbers(found) < _numbers(variant.backend_version):
        return (
            f"it needs {variant.backend} {variant.backend_version} or later and {found} is"
            f" installed: {_install_line(variant, upgrade=True)}"
        )
    return None


def _install_line(variant: Variant, *, upgrade: bool = False) -> str:
    flag = "--upgrade " if upgrade else ""
    return f'pip install {flag}"minilm-toolkit[{_EXTRAS[variant.target]}]"'


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: "1.20.1rc1" gives 1, 20, 1."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(field) for field in match.group().split(".")) if match else ()
