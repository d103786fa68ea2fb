"""From a directory to an encoder: read the manifest, choose, check, open.

To choose takes no NumPy and no backend, so that both are imported while the files are read.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from minilm.runtime import selection
from minilm.runtime.artifact import Variant
from minilm.runtime.backends import BACKEND_MODULES, BACKENDS, Backend, SessionOptions
from minilm.runtime.backends.requirements import install_line
from minilm.runtime.errors import BackendUnavailable
from minilm.runtime.execution.threads import BackgroundTasks
from minilm.runtime.forking import native_calls
from minilm.runtime.hardware import host as hosts
from minilm.runtime.hardware.cuda import PROVIDER
from minilm.runtime.integrity import IntegrityLevel, missing_files, read_file
from minilm.runtime.manifest import CONFIG_NAME, TOKENIZER_NAME, Manifest, read
from minilm.runtime.options import LoadOptions, split_variant
from minilm.runtime.validation import OnLong

if TYPE_CHECKING:
    from minilm.runtime.encoder import Encoder
    from minilm.runtime.hub import HubBundle

__all__ = ["load"]

_TELEMETRY: Final = "openvino_telemetry"


def load(  # noqa: PLR0913 - each is a choice of its own, and all have defaults
    path: str | Path,
    *,
    variant: str | None = None,
    target: str | None = None,
    precision: str | None = None,
    provider: str | None = None,
    threads: int | None = None,
    verify: IntegrityLevel = "full",
    on_long: OnLong | None = None,
    cache_dir: str | Path | None = None,
) -> "Encoder":
    """Load the variant of a bundle that runs best on this machine, or the one asked for.

    Opens no network connection unless `path` begins with "hub:", and writes nothing but to
    `cache_dir` and the Hub's cache.

    Args:
        path: directory of the bundle, or the name of an installed one: of its package
            ("all-minilm-l6-v2-int8") or of its model ("all-MiniLM-L6-v2"). With
            "hub:ORG/NAME[@REVISION]" the manifest and what the variant needs are downloaded.
        variant: name of the variant to load, as "cpu/int8": its target and its precision in one.
        target: "cpu", "openvino", "cuda" or "native"; by default whatever is fastest here.
        precision: "fp32", "bf16", "fp16" or "int8"; by default whatever is fastest here.
        provider: ONNX Runtime provider to run on instead of the target's own, as
            "CPUExecutionProvider" to check the numbers of a cuda variant where there is no GPU.
        threads: that embed at once; by default one for each core this process may use.
        verify: Depth of the comparison with the manifest, of the files that are loaded. "full"
            hashes them before they are parsed (0.5 ms a MB: 12 ms for cpu/int8); "sizes" compares
            sizes alone; "none" trusts the directory as it is. Other files are not looked at:
            `toolkit inspect --check` and `toolkit verify` do that.
        on_long: what a text over the model's limit gets: "truncate" drops the rest, "mean" averages
            windows over all of it, "error" raises. None is "truncate" with a warning, once.
        cache_dir: folder in which OpenVINO keeps compiled graphs, for quicker starts.

    Raises:
        InvalidArtifact: not a bundle, or one that is damaged, altered or of an unknown format.
        BackendUnavailable: what was asked for cannot run here; says what to install.
        UsageError: an argument has no such value.
        SourceError: the Hub refused, or is out of reach and nothing is cached.
    """
    if variant is not None:
        target, precision = split_variant(variant, target=target, precision=precision)
    options = LoadOptions(
        path=Path(path),
        target=target,
        precision=precision,
        provider=provider,
        threads=threads,
        verify=verify,
        on_long=on_long,
        cache_dir=None if cache_dir is None else Path(cache_dir),
    )
    hub = _download(path, options)
    native_calls.register()
    # A child waits for ever to import what another thread was importing when it was forked.
    with native_calls:
        directory = hub.directory if hub else _directory(path)
        options = replace(options, path=directory.absolute())
        return _load(directory, options, hub.origin if hub else "")


def _download(path: str | Path, options: LoadOptions) -> "HubBundle | None":
    """The bundle on the Hub that `path` asks for, if it does, with the files of its variant."""
    if not isinstance(path, str) or not path.startswith("hub:"):
        return None
    from minilm.runtime.hub import HubBundle

    hub = HubBundle.open(path)
    variant, _ = _choose(read(hub.directory), _detect(options), options, absent={})
    hub.fetch([*variant.files, TOKENIZER_NAME, CONFIG_NAME])
    return hub


def _directory(path: str | Path) -> Path:
    """`path` as it is, or where the bundle of that name is installed."""
    if not isinstance(path, str) or Path(path).name != path or os.path.lexists(path):
        return Path(path)
    from minilm.runtime.installed import find_bundle

    return find_bundle(path)


def _load(bundle: Path, options: LoadOptions, origin: str) -> "Encoder":
    manifest = read(bundle)
    host = _detect(options)
    absent = {v.name: lost for v in manifest.variants if (lost := missing_files(bundle, v))}
    variant, why = _choose(manifest, host, options, absent=absent)
    backend = BACKENDS[variant.backend]
    threads = options.threads or host.cores
    read_one = partial(_read, bundle, manifest, level=options.verify)
    # Its threads are inside the gate as this one is, which waits for them.
    with BackgroundTasks() as background:
        files = background.start(lambda: {name: read_one(name) for name in variant.files})
        _import(backend, variant)
        from minilm.runtime.encoder import Encoder
        from minilm.runtime.execution.executor import BatchExecutor
        from minilm.runtime.text.tokenizer import TextTokenizer

        # The tokenizer takes 15 ms, which the session, busy in native code, does not notice.
        tokenizer = background.start(lambda: TextTokenizer(read_one(TOKENIZER_NAME)))
        vocabulary = _check_config(bundle, manifest, read_one)
        session_options = SessionOptions(
            threads=threads,
            max_tokens=manifest.model.max_tokens,
            provider=options.provider,
            cache_dir=options.cache_dir,
        )
        session = backend.open_session(variant, files(), session_options)
        executor = BatchExecutor(session, tokenizer(), variant, vocabulary)
    return Encoder(
        executor=executor,
        manifest=manifest,
        why=f"{why} {threads} thread{'s' * (threads > 1)}; cores allowed: {host.cores_reason}."
        + (origin and f" {origin}"),
        options=options,
    )


def _choose(
    manifest: Manifest,
    host: hosts.Host,
    options: LoadOptions,
    *,
    absent: Mapping[str, tuple[str, ...]],
) -> tuple[Variant, str]:
    return selection.choose(
        manifest,
        host,
        target=options.target,
        precision=options.precision,
        provider=options.provider,
        absent=absent,
    )


def _detect(options: LoadOptions) -> hosts.Host:
    """The host, with what is slow to find out only where it may decide."""
    wants_gpu = options.target == "cuda" or (options.target is None and hosts.has_cuda_provider())
    return hosts.detect_host(
        BACKEND_MODULES,
        providers=wants_gpu or options.provider is not None,
        gpu=wants_gpu and options.provider in {None, PROVIDER},
    )


def _import(backend: Backend, variant: Variant) -> None:
    """Import the backend's library, which takes longer than to read the files."""
    try:
        with _telemetry_hidden():
            import_module(backend.module)
    except ImportError as error:
        raise BackendUnavailable(
            f"{variant.name} needs {variant.backend}, which is installed but cannot be imported "
            f"({error}): {install_line(backend.extra, upgrade=True)}"
        ) from error


@contextmanager
def _telemetry_hidden() -> Iterator[None]:
    """Hide a module by which OpenVINO's tools report that they were imported; they do without."""
    hidden = _TELEMETRY not in sys.modules
    if hidden:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # makes its import fail
    try:
        yield
    finally:
        if hidden:
            del sys.modules[_TELEMETRY]


def _check_config(bundle: Path, manifest: Manifest, read_one: Callable[[str], bytes]) -> int | None:
    """Compare the manifest with config.json, unless this copy of the bundle came without it.

    Returns:
        Number of tokens that the model knows, if config.json is here and says it.
    """
    listed = any(entry.path == CONFIG_NAME for entry in manifest.files)
    if not listed or not (bundle / CONFIG_NAME).exists():
        return None
    return manifest.check_config(read_one(CONFIG_NAME))


def _read(bundle: Path, manifest: Manifest, name: str, *, level: IntegrityLevel) -> bytes:
    """Content of a file; the bytes that are hashed are those that get parsed."""
    return read_file(bundle, manifest, name, level)
