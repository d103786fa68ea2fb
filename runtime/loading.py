"""From a directory to an encoder: read the manifest, choose, check, open.

To choose takes no NumPy and no backend, so that both are imported while the files are read.
"""

from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from minilm.runtime import integrity, selection
from minilm.runtime.backends import BACKEND_MODULES, BACKENDS, SessionOptions
from minilm.runtime.errors import InvalidArtifact
from minilm.runtime.execution.threads import start_in_thread
from minilm.runtime.hardware import host as hosts
from minilm.runtime.hardware.cuda import PROVIDER
from minilm.runtime.manifest import Manifest, read
from minilm.runtime.options import LoadOptions
from minilm.runtime.validation import OnLong

if TYPE_CHECKING:
    from minilm.runtime.encoder import Encoder

__all__ = ["load"]

_TOKENIZER = "tokenizer.json"


def load(  # noqa: PLR0913 - each is a choice of its own, and all have defaults
    path: str | Path,
    *,
    target: str | None = None,
    precision: str | None = None,
    provider: str | None = None,
    threads: int | None = None,
    verify: integrity.IntegrityLevel = "full",
    on_long: OnLong | None = None,
    cache_dir: str | Path | None = None,
) -> "Encoder":
    """Load the variant of a bundle that runs best on this machine, or the one asked for.

    Opens no network connection and writes nothing, but to `cache_dir`.

    Args:
        path: directory of the bundle.
        target: "cpu", "openvino" or "cuda"; by default whatever is fastest here.
        precision: "fp32", "bf16", "fp16" or "int8"; by default whatever is fastest here.
        provider: ONNX Runtime provider to run on instead of the target's own, as
            "CPUExecutionProvider" to check the numbers of a cuda variant where there is no GPU.
        threads: that embed at once; by default one for each core this process may use.
        verify: "full" compares the bundle's files with the manifest, their sizes too, and hashes
            those that are loaded before they are parsed (0.5 ms a MB: 12 ms for cpu/int8); "sizes"
            leaves out the hashes (under 1 ms); "none" trusts the directory as it is.
        on_long: what a text over the model's limit gets: "truncate" drops the rest, "mean" averages
            windows over all of it, "error" raises. None is "truncate" with a warning, once.
        cache_dir: folder in which OpenVINO keeps compiled graphs, for quicker starts.

    Raises:
        InvalidArtifact: not a bundle, or one that is damaged, altered or of an unknown format.
        BackendUnavailable: what was asked for cannot run here; says what to install.
        UsageError: an argument has no such value.
    """
    options = LoadOptions(
        path=Path(path).absolute(),
        target=target,
        precision=precision,
        provider=provider,
        threads=threads,
        verify=verify,
        on_long=on_long,
        cache_dir=None if cache_dir is None else Path(cache_dir),
    )
    return _load(Path(path), options)


def _load(bundle: Path, options: LoadOptions) -> "Encoder":
    manifest = read(bundle)
    integrity.check(bundle, manifest, "none" if options.verify == "none" else "sizes")
    host = _detect(options)
    variant, why = selection.choose(
        manifest,
        host,
        target=options.target,
        precision=options.precision,
        provider=options.provider,
    )
    backend = BACKENDS[variant.backend]
    threads = options.threads or host.cores
    read_file = partial(_read, bundle, manifest, hashed=options.verify == "full")
    files = start_in_thread(lambda: {name: read_file(name) for name in variant.files})
    import_module(backend.module)
    from minilm.runtime.encoder import Encoder
    from minilm.runtime.execution.executor import BatchExecutor
    from minilm.runtime.text.tokenizer import TextTokenizer

    # The tokenizer takes 15 ms, which the session, busy in native code, does not notice.
    tokenizer = start_in_thread(lambda: TextTokenizer(read_file(_TOKENIZER)))
    session_options = SessionOptions(
        threads=threads,
        max_tokens=manifest.model.max_tokens,
        provider=options.provider,
        cache_dir=options.cache_dir,
    )
    session = backend.open_session(variant, files(), session_options)
    return Encoder(
        executor=BatchExecutor(session, tokenizer(), variant),
        manifest=manifest,
        why=f"{why} {threads} thread{'s' * (threads > 1)}; cores allowed: {host.cores_reason}.",
        options=options,
    )


def _detect(options: LoadOptions) -> hosts.Host:
    """The host, with what is slow to find out only where it may decide."""
    wants_gpu = options.target == "cuda" or (options.target is None and hosts.has_cuda_provider())
    return hosts.detect_host(
        BACKEND_MODULES,
        providers=wants_gpu or options.provider is not None,
        gpu=wants_gpu and options.provider in {None, PROVIDER},
    )


def _read(bundle: Path, manifest: Manifest, name: str, *, hashed: bool) -> bytes:
    """Content of a file; the bytes that are hashed are those that get parsed."""
    entry = next((entry for entry in manifest.files if entry.path == name), None)
    if entry is None:
        raise InvalidArtifact(f"the bundle has no {name}: its manifest does not list it")
    try:
        data = (bundle / name).read_bytes()
    except OSError as error:
        raise InvalidArtifact(f"cannot read {bundle / name}: {error}") from error
    if hashed:
        integrity.check_bytes(entry, data)
    return data
