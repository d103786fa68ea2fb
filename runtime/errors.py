"""Every error that the toolkit raises on purpose.

    ToolkitError            70 never raised itself; a class without a code of its own has this one
    ├── GateFailed          1  readable, but not the original's vectors
    ├── UsageError          2  an argument or a text that cannot be served (also a ValueError)
    │   └── TextTooLong     2  over the model's limit, and the caller chose on_long="error"
    ├── TextTypeError       2  something that is not a text (also a TypeError)
    ├── InvalidArtifact     3  missing, truncated, altered, unlisted or linked file; unknown format
    ├── BackendUnavailable  4  an extra is not installed, a provider or a variant cannot run here
    │   └── EncoderUnusable 4  closed, or carried over a fork that its backend does not survive
    ├── SourceError         5  weights missing, of the wrong hash or architecture, or out of reach
    └── BuildFailed         6  a stage failed; nothing half-written is left

The number is the exit code of the `toolkit` command; 2 is what typer gives for wrong usage too.
Each message says what was asked, what was found and what to do.
"""

# ruff: noqa: N818 - a name says what happened ("the gate failed"); that it is an error shows.

from typing import ClassVar

__all__ = [
    "BackendUnavailable",
    "BuildFailed",
    "EncoderUnusable",
    "GateFailed",
    "InvalidArtifact",
    "SourceError",
    "TextTooLong",
    "TextTypeError",
    "ToolkitError",
    "UsageError",
]


class ToolkitError(Exception):
    """Base of the tree: `except ToolkitError` catches all that the toolkit raises on purpose."""

    exit_code: ClassVar[int] = 70  # EX_SOFTWARE of sysexits.h: a forgotten code is no verdict


class GateFailed(ToolkitError):
    """An artifact is readable but does not give the original's vectors."""

    exit_code = 1


class UsageError(ToolkitError, ValueError):
    """An argument has a value that cannot be served: the message lists those that can.

    Attributes:
        option: command-line option at fault ("--resume"), where the command line is the caller.
    """

    exit_code = 2

    def __init__(self, *args: object, option: str | None = None) -> None:
        super().__init__(*args)
        self.option = option


class TextTooLong(UsageError):
    """A text is longer than the model reads, and `on_long="error"` was asked for."""

    exit_code = 2


class TextTypeError(ToolkitError, TypeError):
    """Something that is not a text stands where one is expected: the message gives its position."""

    exit_code = 2


class InvalidArtifact(ToolkitError):
    """A bundle has a missing, truncated, altered, unlisted or linked file, or an unknown format."""

    exit_code = 3


class BackendUnavailable(ToolkitError):
    """What was asked for cannot run here: an extra or a provider is missing. Never a fall-back."""

    exit_code = 4


class EncoderUnusable(BackendUnavailable):
    """The encoder was closed, or its backend did not survive a fork: load it again."""

    exit_code = 4


class SourceError(ToolkitError):
    """The weights are missing, have the wrong hash, or are of an unsupported architecture."""

    exit_code = 5


class BuildFailed(ToolkitError):
    """A stage of the build failed: the message names it, its target and the stages before it."""

    exit_code = 6
