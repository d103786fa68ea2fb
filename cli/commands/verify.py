"""`toolkit verify`."""

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from minilm.cli.options import (
    DEFAULT_BUNDLE,
    BundleArgument,
    JsonOption,
    flattened,
    known_variants,
    naming,
)
from minilm.cli.report_output import (
    DEFAULT_DIRECTORY,
    ReportOptions,
    print_closing,
    print_policy,
    print_report,
)
from minilm.runtime.errors import GateFailed, InvalidArtifact
from minilm.runtime.manifest import MANIFEST_NAME, VARIANTS

if TYPE_CHECKING:
    from minilm.verify import Report

__all__ = ["command"]


@dataclass(frozen=True, kw_only=True)
class ReferenceOptions:
    """Options of the comparison. `flattened` turns each field into an option."""

    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            help="PyTorch weights to compare with: a directory or a Hub id. "
            "Default: the installed ones, or the bundle's golden vectors without torch.",
        ),
    ] = None
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy",
            metavar="FILE",
            help="TOML that sets thresholds, or switches a gate off with false: a section for a "
            'variant ["cpu/int8"], a precision [int8] or all ["*"], and lines such as '
            "cosine-min = 0.995. Its thresholds are printed.",
        ),
    ] = None
    sts: Annotated[
        Path | None,
        typer.Option(
            "--sts",
            metavar="FILE",
            help="Labelled pairs for the gate sts-drop: rows of sentence, sentence, score; "
            "CSV, or TSV if the name ends in .tsv.",
        ),
    ] = None
    corpus: Annotated[
        Path | None,
        typer.Option(
            "--corpus",
            metavar="FILE",
            help="Texts of your own to compare by, UTF-8, one a line. Default: the built-in ones.",
        ),
    ] = None
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="Default: all that are allowed.")
    ] = None

    def command_line(self, bundle: Path, variants: list[str] | None) -> str:
        """The command that repeats a verification with these options."""
        words = ["toolkit", "verify", str(bundle)]
        for option, value in (
            ("--variants", ",".join(variants) if variants else None),
            ("--against", self.against),
            ("--policy", self.policy),
            ("--sts", self.sts),
            ("--corpus", self.corpus),
            ("--threads", self.threads),
        ):
            words += [] if value is None else [option, str(value)]
        return shlex.join(words)

    def verify(self, bundle: Path, variants: list[str] | None) -> "Report":
        """Verify a bundle, or a directory of another tool's.

        Raises:
            UsageError: a variant is unknown.
            ToolkitError: as `verify_bundle`, `verify_foreign` and `load_policy`.
        """
        foreign = bundle.is_dir() and not (bundle / MANIFEST_NAME).is_file()
        names = None if foreign else known_variants(variants)
        from minilm import verify
        from minilm.cli.console import steps

        with naming("--policy"):
            policy = verify.BUILT_IN if self.policy is None else verify.load_policy(self.policy)
        with naming("--sts"):
            pairs = None if self.sts is None else verify.read_sts_pairs(self.sts)
        with naming("--corpus"):
            corpus = None if self.corpus is None else verify.read_corpus_file(self.corpus)
        with steps(logged=False) as step:
            if foreign:
                graphs = _graphs(bundle, variants)
                candidates = verify.open_foreign(bundle, graphs, threads=self.threads)
                return verify.verify_foreign(
                    bundle,
                    candidates,
                    verify.load_original(self.against),
                    policy=policy,
                    pairs=pairs,
                    corpus=corpus,
                    on_progress=step,
                )
            step("checking files")
            checked = verify.check_bundle(bundle, names)
            step("loading the original")
            return verify.verify_bundle(
                checked,
                verify.resolve_reference(self.against, bundle),
                threads=self.threads,
                policy=policy,
                pairs=pairs,
                corpus=corpus,
                on_progress=step,
            )


@flattened
def command(
    bundle: BundleArgument = DEFAULT_BUNDLE,
    *,
    variants: Annotated[
        list[str] | None,
        typer.Option(
            "--variants",
            "--variant",
            metavar="NAME",
            help="Only these, repeated or with commas between: "
            f"{', '.join(VARIANTS)}. Of a directory that another tool wrote: paths of its graphs.",
        ),
    ] = None,
    reference: ReferenceOptions,
    reports: ReportOptions,
    as_json: JsonOption = False,
) -> None:
    """Compare every variant of a bundle with the original. Exit code 1 if a gate fails.

    A directory in the Hugging Face layout that another tool wrote can be verified too:
    name its graph.
    `toolkit -v verify` prints every threshold.

    \b
    Example:
      toolkit verify artifacts/all-MiniLM-L6-v2
      toolkit verify --variants cpu/int8 --policy strict.toml --sts stsb.csv
      toolkit verify --report-dir report --report junit --report sarif
      toolkit verify path/to/dir --variant onnx/model_qint8_avx512_vnni.onnx
    """
    reports.check(bundle)
    command_line = reference.command_line(bundle, variants)
    report = replace(reference.verify(bundle, variants), command=command_line)
    files = reports.write(report)
    from minilm.cli.console import logging_on, print_json
    from minilm.verify import render_report

    if as_json:
        print_json(json.loads(render_report(report, "json")))
    else:
        if reference.policy is not None or logging_on():
            print_policy(report)
        print_report(report, str(bundle))
        print_closing(report, bundle, files, _following(report, bundle, reference))
    if not report.passed:
        raise GateFailed(f"{bundle} is not the original's equal: {_failed(report)}")


def _following(report: "Report", bundle: Path, reference: ReferenceOptions) -> str:
    """The command that makes sense next."""
    failed = [variant.name for variant in report.variants if not variant.passed]
    if failed:
        return f"{reference.command_line(bundle, failed)} --report-dir {DEFAULT_DIRECTORY}"
    if not report.passed:
        return shlex.join(["toolkit", "inspect", str(bundle), "--check"])
    if not (bundle / MANIFEST_NAME).is_file():
        return "toolkit build, for a bundle that `minilm.runtime` loads"
    return shlex.join(["toolkit", "embed", "a text", "--bundle", str(bundle)])


def _graphs(directory: Path, asked: Iterable[str] | None) -> list[str]:
    """The graphs that were named.

    Raises:
        InvalidArtifact: none was: a bundle that lost its manifest must not pass as another tool's.
    """
    from minilm.verify import find_graphs

    names = [part.strip() for name in asked or () for part in name.split(",")]
    if not names:
        found = find_graphs(directory)
        raise InvalidArtifact(
            f"{directory} has no {MANIFEST_NAME}: it is not a bundle that `toolkit build` made; "
            f"to verify what another tool made, name a graph: --variant {found[0]}"
            + (f" (others: {', '.join(found[1:])})" if found[1:] else "")
        )
    return list(dict.fromkeys(names))


def _failed(report: "Report") -> str:
    gates: dict[str, list[str]] = {}
    for where, gate in report.failures:
        gates.setdefault(where, []).append(gate.name)
    return "; ".join(f"{where} {', '.join(names)}" for where, names in gates.items())
