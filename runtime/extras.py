"""A missing extra is reported with the line that installs it."""

from collections.abc import Iterator
from contextlib import contextmanager

from minilm.runtime.errors import BackendUnavailable

__all__ = ["require_extra"]


@contextmanager
def require_extra(extra: str, purpose: str) -> Iterator[None]:
    """Turn an ImportError of the block into the install line of `extra`.

    Args:
        extra: of the distribution, as in "minilm-toolkit[extra]".
        purpose: what the block is for, as the start of a sentence ("Converting a model").

    Raises:
        BackendUnavailable: a module that the block imports is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise BackendUnavailable(
            f"{purpose} needs {error.name or 'a package'}, which cannot be imported ({error}): "
            f'pip install "minilm-toolkit[{extra}]"'
        ) from error
