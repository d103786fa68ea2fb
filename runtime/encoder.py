"""The object that turns texts into vectors."""

import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Final, Literal, Self, SupportsIndex, Unpack, overload

from minilm.runtime.adapters import FrameworkAdapters
from minilm.runtime.backends.batch import Vectors
from minilm.runtime.comparison import VectorComparison
from minilm.runtime.errors import BackendUnavailable
from minilm.runtime.execution.executor import BatchExecutor
from minilm.runtime.execution.request import EncodeOptions, EncodeReport, EncodeRequest
from minilm.runtime.manifest import Manifest
from minilm.runtime.options import EncodeChoices, LoadOptions
from minilm.runtime.progress import Progress
from minilm.runtime.prompts import PromptedEncoding
from minilm.runtime.text.inputs import check_stream, check_text, next_block, validate_texts
from minilm.runtime.tokens import TokenAccess
from minilm.runtime.validation import OnLong, check_on_long, check_positive

__all__ = ["Encoder", "TruncationWarning"]

_STREAM_BLOCK: Final = 1024
"""Texts of a block of `iter_encode`: enough to sort well, a few MB."""


class TruncationWarning(UserWarning):
    """A text was truncated, and `on_long` was not given."""


class Encoder(FrameworkAdapters, PromptedEncoding, TokenAccess, VectorComparison):
    """Embeds texts with one variant of a bundle; `minilm.runtime.load` makes it.

    May be used from several threads at once. Pickles as its path and options, and is loaded again
    where it is unpickled. After a fork it goes on working on ONNX Runtime's CPU provider and raises
    `EncoderUnusable` on the others.

    Attributes:
        manifest: Manifest of the bundle.
        variant: Variant that was loaded.
        why: Facts that decided for the variant, in a sentence or two.
        options: Arguments of `load` that gave this encoder.
    """

    # An attribute that does not exist cannot be set: a misspelt setting would be ignored.
    __slots__ = (
        "__weakref__",
        "_executor",
        "_reports",
        "_truncation_told",
        "manifest",
        "options",
        "variant",
        "why",
    )

    def __init__(
        self, *, executor: BatchExecutor, manifest: Manifest, why: str, options: LoadOptions
    ) -> None:
        self.manifest = manifest
        self.variant = executor.variant
        self.why = why
        self.options = options
        self._prompts: Mapping[str, str] | None = None
        self._executor = executor
        self._reports = threading.local()
        # Taken by the call that warns of truncation, and never released: one warning an encoder.
        self._truncation_told = threading.Lock()

    @overload
    def encode(
        self,
        texts: str | Iterable[str],
        *,
        convert_to_tensor: Literal[True],
        **options: Unpack[EncodeChoices],
    ) -> Any: ...

    @overload
    def encode(
        self,
        texts: str | Iterable[str],
        *,
        convert_to_tensor: Literal[False] = False,
        **options: Unpack[EncodeChoices],
    ) -> Vectors: ...

    def encode(  # noqa: PLR0913 - each is a choice of the caller's
        self,
        texts: str | Iterable[str],
        *,
        batch_size: SupportsIndex | None = None,
        show_progress_bar: bool = False,
        normalize_embeddings: bool = True,
        on_long: OnLong | None = None,
        prompt: str | None = None,
        prompt_name: str | None = None,
        convert_to_tensor: bool = False,
    ) -> Any:
        """Embed one text or several.

        Args:
            texts: a str, or any iterable of str.
            batch_size: most texts in a batch; by default as many as run best.
            show_progress_bar: draw one on standard error, if that is a terminal.
            normalize_embeddings: bring vectors to unit length, if the graph has not done so.
            on_long: as in `load`, for this call.
            prompt: put before each text.
            prompt_name: name in `prompts` of the prompt to put before each text.
            convert_to_tensor: give a tensor of PyTorch, on the CPU, where PyTorch is installed.

        Returns:
            float32, (texts, dimension), unit length; for a str (dimension,).

        Raises:
            TextTypeError: something that is not a text; names its position.
            TextTooLong: with `on_long="error"`; names its position.
            UsageError: an argument has no such value, or a text has a lone surrogate.
            EncoderUnusable: closed, or carried over a fork that it does not survive.
            BackendUnavailable: a tensor is wanted, and PyTorch is not installed.
        """
        from_numpy = _tensor_maker() if convert_to_tensor else None
        size = None if batch_size is None else check_positive("batch_size", batch_size)
        chosen = self._chosen(on_long)
        if isinstance(texts, str):
            check_text(texts, "the text")
            checked = [texts]
        else:
            checked = validate_texts(texts)
        if before := self._prompt(prompt, prompt_name):
            checked = [before + text for text in checked]
        progress = Progress(len(checked)) if show_progress_bar else None
        options = self._encode_options(chosen, normalize=normalize_embeddings, batch_size=size)
        request = EncodeRequest(texts=checked, options=options)
        vectors = self._finish(request, EncodeReport(), progress)
        found = vectors[0] if isinstance(texts, str) else vectors
        return from_numpy(found) if from_numpy else found

    def iter_encode(  # noqa: PLR0913 - each is a choice of the caller's
        self,
        stream: Iterable[str],
        *,
        batch_size: SupportsIndex = _STREAM_BLOCK,
        normalize_embeddings: bool = True,
        on_long: OnLong | None = None,
        first: int = 0,
        prompt: str | None = None,
        prompt_name: str | None = None,
    ) -> Iterator[Vectors]:
        """Embed a stream of any length in constant memory.

        Args:
            stream: any iterable of str; read one block at a time.
            batch_size: most texts of a block; long texts make it end earlier.
            normalize_embeddings: as in `encode`.
            on_long: as in `load`, for this call.
            first: position of the stream's first text, for messages.
            prompt: as in `encode`, and so is `prompt_name`.

        Returns:
            An iterator of float32, (block, dimension), in the stream's order. `last_report` counts
            the blocks so far.

        Raises:
            UsageError: at once for an argument, and as `encode` when the text's block is reached.
            TextTypeError: likewise.
            TextTooLong: as `encode`, when the text's block is reached.
            EncoderUnusable: as `encode`.
        """
        batch_size = check_positive("batch_size", batch_size)
        check_stream(stream)
        chosen = self._chosen(on_long)
        options = self._encode_options(chosen, normalize=normalize_embeddings)
        before = self._prompt(prompt, prompt_name)
        return self._blocks(iter(stream), batch_size, first, options, before)

    @property
    def last_report(self) -> EncodeReport:
        """What the last call from this thread made of its texts."""
        report: EncodeReport = getattr(self._reports, "last", EncodeReport())
        return report

    @property
    def dimension(self) -> int:
        """Elements of a vector."""
        return self.manifest.model.dimension

    @property
    def max_tokens(self) -> int:
        """Tokens of the longest text that is read whole, [CLS] and [SEP] included."""
        return self.manifest.model.max_tokens

    @property
    def max_seq_length(self) -> int:
        """sentence-transformers' name for `max_tokens`, which belongs to the bundle: read-only."""
        return self.max_tokens

    def get_sentence_embedding_dimension(self) -> int:
        """sentence-transformers' name for `dimension`."""
        return self.dimension

    def close(self) -> None:
        """Release the graph; the encoder cannot be used afterwards."""
        self._executor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[[], "Encoder"], tuple[()]]:
        from minilm.runtime import load

        return partial(load, self.options.path, **self.options.arguments()), ()

    def __repr__(self) -> str:
        return f"<Encoder {self.manifest.model.id} {self.variant.name}>"

    def _chosen(self, on_long: OnLong | None) -> OnLong | None:
        if on_long is not None:
            check_on_long(on_long)
        return on_long or self.options.on_long

    def _encode_options(
        self,
        on_long: OnLong | None,
        *,
        normalize: bool,
        batch_size: int | None = None,
    ) -> EncodeOptions:
        model = self.manifest.model
        return EncodeOptions(
            max_content_tokens=self._max_content_tokens,
            dimension=model.dimension,
            on_long=on_long,
            graph_normalizes=model.normalized,
            unit_length=normalize or model.normalized,
            batch_size=batch_size,
        )

    def _finish(
        self, request: EncodeRequest, before: EncodeReport, progress: Progress | None = None
    ) -> Vectors:
        """Run a request, report on it, warn if it is the first to lose tokens unasked."""
        result = self._executor.run(request, progress.advance if progress else None)
        report = result.report()
        self._reports.last = before + report
        unasked = report.texts_cut and request.options.on_long is None
        if unasked and self._truncation_told.acquire(blocking=False):
            warnings.warn(
                f"{report.texts_cut} of {report.texts} texts exceed the limit of "
                f"{self._max_content_tokens} tokens and were truncated ({report.tokens_cut} tokens "
                'dropped). Pass on_long="truncate" to silence this warning, or "mean" or "error". '
                "Shown once for each encoder; see encoder.last_report.",
                TruncationWarning,
                stacklevel=3,
            )
        return result.vectors()

    def _blocks(
        self, stream: Iterator[str], size: int, first: int, options: EncodeOptions, before: str
    ) -> Iterator[Vectors]:
        report = EncodeReport()
        while block := validate_texts(next_block(stream, size), first=first + report.texts):
            block = [before + text for text in block] if before else block
            request = EncodeRequest(texts=block, options=options, first=first + report.texts)
            vectors = self._finish(request, report)
            report = self.last_report
            yield vectors


def _tensor_maker() -> Callable[[Vectors], Any]:
    """PyTorch's function from an array to a tensor that shares its memory."""
    try:
        from torch import from_numpy
    except ImportError as error:
        raise BackendUnavailable(
            "convert_to_tensor needs PyTorch, which is not installed: pip install torch"
        ) from error
    return from_numpy
