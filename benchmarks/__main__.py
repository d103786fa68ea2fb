"""`python -m benchmarks [peers|graphs|parity]`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from minilm.runtime.errors import ToolkitError

from benchmarks.datasets import TextsError
from benchmarks.harness.environments import ROOT

__all__ = ["main"]

_BUNDLE: Final = ROOT / "artifacts" / "all-MiniLM-L6-v2"
_RESULTS: Final = Path(__file__).with_name("results")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.do == "graphs":
            from benchmarks.suites.sessions import run as run_graphs

            print(run_graphs(options.graphs, options.bundle, options.rounds, options.output))
        elif options.do == "parity":
            from benchmarks.suites.parity import run as run_parity

            print(run_parity(options.bundle, options.texts, options.sts, options.output))
        else:
            from benchmarks.reporting.markdown import report
            from benchmarks.suites import peers

            chosen = {name: value for name, value in vars(options).items() if name != "do"}
            print(report(peers.run(peers.Options(**{**chosen, "only": tuple(options.only)}))))
    except (ToolkitError, TextsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, ToolkitError) else 2
    return 0


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--bundle", type=Path, default=_BUNDLE, help="default: what make build made"
    )
    common.add_argument("--output", type=Path, default=_RESULTS, help="folder for the results")
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    commands = parser.add_subparsers(dest="do", required=True)

    peers = commands.add_parser("peers", parents=[common], help="this project beside its peers")
    texts = "CSV of sentence pairs, or text lines; default: the project's own sentences"
    peers.add_argument("--texts", type=Path, help=texts)
    peers.add_argument("--limit", type=_positive, help="short texts at most")
    peers.add_argument("--rounds", type=_positive, default=5)
    peers.add_argument("--stream-texts", type=int, default=100_000, help="0: no memory test")
    peers.add_argument("--only", nargs="+", default=(), help="parts of the names of rows")

    graphs = commands.add_parser("graphs", parents=[common], help="sessions alone, equal inputs")
    graphs.add_argument(
        "graphs", nargs="*", help="FILE.onnx[:basic] or FILE.xml; default: the bundle's"
    )
    graphs.add_argument("--rounds", type=_positive, default=40)

    parity = commands.add_parser("parity", parents=[common], help="every variant against PyTorch")
    parity.add_argument("--texts", type=Path, help=texts)
    parity.add_argument("--sts", type=Path, help="CSV: sentence, sentence, score; also the texts")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be greater than 0, got {value}")
    return value


if __name__ == "__main__":
    # Without a command it is the comparison with the peers.
    known = ("peers", "graphs", "parity", "-h", "--help")
    given = sys.argv[1:]
    sys.exit(main(given if given and given[0] in known else ["peers", *given]))
