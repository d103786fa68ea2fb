"""`toolkit optimize`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from minilm.cli.options import CalibrationOption, ModelOption, VariantsOption, known_variants
from minilm.runtime.manifest import VARIANTS

__all__ = ["command"]


def command(
    graph: Annotated[Path, typer.Argument(help="fp32 ONNX graph that `toolkit export` wrote.")],
    *,
    model: ModelOption = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Directory to write the variants into.")
    ] = Path("optimized"),
    variants: VariantsOption = None,
    calibration: CalibrationOption = None,
) -> None:
    """Optimize an exported graph for each target and precision. Nothing is verified here.

    \b
    Example:
      toolkit optimize model.onnx --output optimized --variants cpu/int8
    """
    names = known_variants(variants) or tuple(VARIANTS)
    if not graph.is_file():
        raise typer.BadParameter(f"no file {graph}: `toolkit export` makes one", param_hint="GRAPH")
    from minilm import convert, optimize
    from minilm.cli.console import print_table, size, steps

    corpus = optimize.read_texts(calibration) if calibration else None
    source = convert.resolve(model)
    exported = optimize.Exported(
        graph=graph,
        tokenizer=source.directory / "tokenizer.json",
        **asdict(source.architecture),
    )
    built = []
    with steps() as step:
        for name in names:
            step(name)
            built.append(optimize.build_variant(exported, name, output, corpus))
    print_table(
        str(output),
        ("variant", "file", "size"),
        [
            (variant.name, file, size((output / file).stat().st_size))
            for variant in built
            for file in variant.files
        ],
    )
