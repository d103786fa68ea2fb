"""Options that several commands share, and how they are checked."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_type_hints

import typer
from minilm.runtime.errors import UsageError
from minilm.runtime.integrity import IntegrityLevel
from minilm.runtime.manifest import VARIANTS, Precision, Target
from minilm.runtime.suggest import did_you_mean

if TYPE_CHECKING:
    from minilm.runtime import Encoder

__all__ = [
    "DEFAULT_BUNDLE",
    "BundleArgument",
    "CalibrationOption",
    "EncoderOptions",
    "JsonOption",
    "ModelOption",
    "VariantsOption",
    "flattened",
    "known_variants",
    "located",
    "naming",
]

DEFAULT_BUNDLE: Final = Path("artifacts/all-MiniLM-L6-v2")
"""Where `toolkit build` writes and the other commands look, relative to the working directory."""

_BUNDLE_VARIABLE: Final = "MINILM_BUNDLE"

BundleArgument = Annotated[
    Path,
    typer.Argument(metavar="[BUNDLE]", envvar=_BUNDLE_VARIABLE, help="Directory of the bundle."),
]
CalibrationOption = Annotated[
    Path | None,
    typer.Option(
        "--calibration",
        metavar="FILE",
        help="Texts that int8 is fitted to, UTF-8, one a line. Default: the project's own corpus.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="PyTorch weights: a directory, or a Hub id, org/name[@revision]. "
        "Default: the all-MiniLM-L6-v2 that is installed with the [build] extra.",
    ),
]
VariantsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--variants",
        "--variant",
        metavar="NAME",
        help=f"Only these, repeated or with commas between: {', '.join(VARIANTS)}.",
    ),
]


def known_variants(names: Iterable[str] | None) -> tuple[str, ...] | None:
    """The variants asked for, each once, in the order of `VARIANTS`; None if none was named.

    Raises:
        UsageError: a name is unknown; the message lists the known ones.
    """
    asked = [part.strip() for name in names or () for part in name.split(",")]
    for name in asked:
        if name not in VARIANTS:
            raise UsageError(
                f"no variant {name!r}{did_you_mean(name, VARIANTS)}; known: {', '.join(VARIANTS)}",
                option="--variants",
            )
    return tuple(name for name in VARIANTS if name in asked) or None


def located(bundle: Path) -> Path:
    """`bundle`, or where an installed package has the one of that name.

    Raises:
        UsageError: several packages have one.
        InvalidArtifact: the package that has it has lost its files.
    """
    if bundle.exists() or bundle not in {DEFAULT_BUNDLE, Path(bundle.name)}:
        return bundle
    from minilm.runtime.installed import installed_bundle

    return installed_bundle(bundle.name) or bundle


@contextmanager
def naming(option: str) -> Iterator[None]:
    """Errors of usage that leave this block begin with the option's name."""
    try:
        yield
    except UsageError as error:
        error.option = error.option or option
        raise


@dataclass(frozen=True, kw_only=True)
class EncoderOptions:
    """Which encoder a command loads. `flattened` turns each field into an option."""

    bundle: Annotated[
        Path,
        typer.Option(
            "--bundle",
            "-b",
            envvar=_BUNDLE_VARIABLE,
            help="Directory that `toolkit build` wrote, name of an installed bundle, or "
            "hub:ORG/NAME@REVISION.",
        ),
    ] = DEFAULT_BUNDLE
    variant: Annotated[
        str | None,
        typer.Option(
            "--variant",
            metavar="NAME",
            help=f"Target and precision in one: {', '.join(VARIANTS)}.",
        ),
    ] = None
    target: Annotated[
        Target | None,
        typer.Option("--target", help="Default: the fastest that this machine runs."),
    ] = None
    precision: Annotated[
        Precision | None,
        typer.Option("--precision", help="Default: the fastest for the target on this machine."),
    ] = None
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, help="Default: the cores that this process may use."),
    ] = None
    on_long: Annotated[
        Literal["truncate", "error", "mean"],
        typer.Option(
            "--on-long", help="A text over the model's limit: cut it, refuse it, or average parts."
        ),
    ] = "truncate"
    verify: Annotated[
        IntegrityLevel,
        typer.Option(
            "--verify",
            help="Check of the files that are loaded: their hashes, their sizes, or none.",
        ),
    ] = "full"

    def load(self) -> "Encoder":
        """Load the encoder.

        Raises:
            UsageError: `target` has no variant of `precision`, or `variant` is unknown or given
                beside them.
            ToolkitError: as `minilm.runtime.load`.
        """
        if self.variant is not None:
            self._check_variant(self.variant)
        known = [
            name
            for name in VARIANTS
            if self.target in {None, name.split("/")[0]}
            and self.precision in {None, name.split("/")[1]}
        ]
        if not known:
            raise UsageError(
                f"no variant {self.target}/{self.precision}; known: {', '.join(VARIANTS)}",
                option="--precision",
            )
        from minilm.runtime import load

        reference = str(self.bundle)
        return load(
            reference if reference.startswith("hub:") else located(self.bundle),
            variant=self.variant,
            target=self.target,
            precision=self.precision,
            threads=self.threads,
            verify=self.verify,
            on_long=self.on_long,
        )

    def _check_variant(self, name: str) -> None:
        if name not in VARIANTS:
            raise UsageError(
                f"no variant {name!r}{did_you_mean(name, VARIANTS)}; known: {', '.join(VARIANTS)}",
                option="--variant",
            )
        if self.target is not None or self.precision is not None:
            raise UsageError(
                f"{name} says target and precision: give it, or --target and --precision",
                option="--variant",
            )


def flattened(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each field of a parameter that is a dataclass of options."""
    hints = get_type_hints(function, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, type[Any]] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        hint = hints[name]
        if not (isinstance(hint, type) and is_dataclass(hint)):
            parameters.append(parameter.replace(annotation=hint))
            continue
        groups[name] = hint
        field_hints = get_type_hints(hint, include_extras=True)
        parameters += [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=field_hints[field.name],
            )
            for field in fields(hint)
        ]

    @wraps(function)
    def command(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        function(**values)

    parameters.sort(key=lambda parameter: parameter.kind)
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # inspect reads it, PEP 362
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command
