"""`toolkit export`."""

from pathlib import Path
from typing import Annotated

import typer
from minilm.cli.options import ModelOption
from minilm.runtime.display import visible
from minilm.runtime.files import check_output_file

__all__ = ["command"]


def command(
    *,
    model: ModelOption = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="ONNX file to write.")] = Path(
        "model.onnx"
    ),
) -> None:
    """Export PyTorch weights to one portable fp32 ONNX graph, pooling and norm inside.

    \b
    Example:
      toolkit export --output model.onnx
      toolkit export --model ./my-sentence-model --output my-model.onnx
    """
    check_output_file(output, "--output")
    from minilm import convert
    from minilm.cli.console import size, steps

    source = convert.resolve(model)
    with steps() as step:
        step(f"exporting {source.id}")
        graph = convert.export(source, output)
    typer.echo(f"{visible(str(graph))}  {size(graph.stat().st_size)}")
