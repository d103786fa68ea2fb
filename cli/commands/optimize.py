"""`toolkit optimize`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from minilm.cli.options import CalibrationOption, ModelOption, VariantsOption, known_variants
from minilm.runtime.errors import UsageError
from minilm.runtime.manifest import VARIANTS

if TYPE_CHECKING:
    from minilm.optimize.calibrator import Calibrator

__all__ = ["command"]


def command(  # noqa: PLR0913 - one parameter an option
    graph: Annotated[Path, typer.Argument(help="fp32 ONNX graph that `toolkit export` wrote.")],
    *,
    model: ModelOption = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Directory to write the variants into.")
    ] = Path("optimized"),
    variants: VariantsOption = None,
    texts: CalibrationOption = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Build nothing: measure what static int8 costs each layer, print the table and "
            "write it as a picture, layers.svg.",
        ),
    ] = False,
) -> None:
    """Optimize an exported graph for each target and precision. Nothing is verified here.

    \b
    Example:
      toolkit optimize model.onnx --output optimized --variants cpu/int8
      toolkit optimize model.onnx --output optimized --explain
    """
    names = known_variants(variants) or tuple(VARIANTS)
    if not graph.is_file():
        raise UsageError(f"no file {graph}: `toolkit export` makes one", option="GRAPH")
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is not a directory", option="--output")
    from minilm import convert, optimize
    from minilm.cli.console import print_table, size, steps

    optimize.check_graph(graph)
    corpus = optimize.read_texts(texts) if texts else None
    source = convert.resolve(model)
    exported = optimize.ExportedModel(
        graph=graph,
        tokenizer=source.tokenizer,
        config=source.config,
    )
    calibration = optimize.calibrate(exported, corpus)
    if explain:
        _explain(calibration, output)
        return
    built = []
    with steps() as step:
        for name in names:
            step(name)
            built.append(optimize.build_variant(exported, name, output, calibration))
    print_table(
        str(output),
        ("variant", "file", "size"),
        [
            (variant.name, file, size((output / file).stat().st_size))
            for variant in built
            for file in variant.files
        ],
    )


def _explain(calibration: "Calibrator", output: Path) -> None:
    from minilm import optimize
    from minilm.cli.console import print_table, steps
    from minilm.runtime.files import write_atomically

    with steps() as step:
        step("measuring each layer")
        layers, picture = optimize.explain(calibration)
    output.mkdir(parents=True, exist_ok=True)
    path = output / "layers.svg"
    write_atomically(path, picture)
    print_table(
        f"static int8, cuda/int8; picture: {path}",
        ("layer", "mean loss", "worst loss", "cost", "precision"),
        [
            (
                layer.name,
                f"{layer.mean_loss:.6f}",
                f"{layer.worst_loss:.6f}",
                f"{layer.cost:.1%}",
                layer.precision,
            )
            for layer in layers
        ],
    )
