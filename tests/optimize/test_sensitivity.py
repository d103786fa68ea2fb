"""Why each layer has its precision, as figures and as a picture."""

import re
from xml.etree import ElementTree as ET

import pytest
from minilm.optimize import ExportedModel, calibrate, explain
from minilm.optimize.calibration.corpus import texts
from minilm.optimize.search.sensitivity import LayerReport, to_svg

from tests.support.tiny_model import LAYERS


def test_every_layer_is_explained(exported: ExportedModel) -> None:
    layers, picture = explain(calibrate(exported, texts()[:96]))
    assert len(layers) == 4 * LAYERS
    assert sum(layer.cost for layer in layers) == pytest.approx(1)
    assert {layer.precision for layer in layers} <= {"int8", "float"}
    assert "layer.0.attention.self.qkv" in {layer.name for layer in layers}
    assert [layer.mean_loss for layer in layers] == sorted(
        (layer.mean_loss for layer in layers), reverse=True
    )
    for layer in layers:
        assert layer.name in picture


def test_picture_is_well_formed_and_within_its_frame() -> None:
    layers = [
        LayerReport(name="a <b>", mean_loss=0.01, worst_loss=0.1, cost=0.9, precision="float"),
        LayerReport(name="c", mean_loss=0.0, worst_loss=0.0, cost=0.1, precision="int8"),
    ]
    root = ET.fromstring(to_svg(layers))
    assert root.find("{http://www.w3.org/2000/svg}title") is not None
    width = float(root.attrib["viewBox"].split()[2])
    for bar in root.findall("{http://www.w3.org/2000/svg}rect"):
        assert float(bar.get("x", 0)) + float(bar.attrib["width"]) <= width
    assert re.search(r"0\.010000 float", to_svg(layers))
