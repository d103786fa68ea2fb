"""What ONNX itself says of a graph."""

from pathlib import Path

__all__ = ["check_onnx"]


def check_onnx(path: Path) -> str:
    """The first objection of ONNX's checker and of strict shape inference; empty for none."""
    import onnx

    try:
        onnx.checker.check_model(path, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        return " ".join(str(error).split())  # they come in several lines
    return ""
