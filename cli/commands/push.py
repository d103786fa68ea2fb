"""`toolkit push`."""

from typing import Annotated

import typer
from minilm.cli.options import DEFAULT_BUNDLE, BundleArgument
from minilm.runtime.errors import UsageError

__all__ = ["command"]


def command(
    repository: Annotated[
        str, typer.Argument(metavar="ORG/NAME", help="Repository on the Hub; made if it is new.")
    ],
    bundle: BundleArgument = DEFAULT_BUNDLE,
    *,
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository private.")
    ] = False,
    message: Annotated[str, typer.Option("--message", "-m", help="Of the commit.")] = "",
) -> None:
    """Upload a verified bundle to the Hugging Face Hub, in one commit.

    The token is that of `hf auth login`, or the environment variable HF_TOKEN. `load` and --bundle
    take what was uploaded as hub:ORG/NAME@REVISION.

    \b
    Example:
      toolkit push my-org/all-MiniLM-L6-v2-int8
      toolkit embed "a text" --bundle hub:my-org/all-MiniLM-L6-v2-int8
    """
    if repository.count("/") != 1:
        raise UsageError(f"{repository!r} is no name on the Hub: expected ORG/NAME")
    from minilm.cli.console import steps
    from minilm.distribution import push

    with steps() as step:
        step(f"uploading {bundle} to {repository}")
        commit = push(bundle, repository, private=private, message=message)
    typer.echo(f"hub:{repository}@{commit}")
