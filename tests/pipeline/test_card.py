"""The model card: text of a model's id cannot become markup of the card or of its front matter."""

from dataclasses import replace
from pathlib import Path

import pytest
from minilm.pipeline.card import model_card
from minilm.runtime.manifest import read


@pytest.mark.parametrize(
    ("model", "base", "heading"),
    [
        ("org/all-MiniLM-L6-v2", "base_model: org/all-MiniLM-L6-v2", "# all-MiniLM-L6-v2, built"),
        ("org/a: b", 'base_model: "org/a: b"', "# a: b, built"),
        (
            "org/<img src=x> [y](http)",
            'base_model: "org/<img src=x> [y](http)"',
            "# &lt;img src=x> \\[y\\]\\(http\\), built",
        ),
    ],
)
def test_a_model_id_is_escaped(tiny_bundle: Path, model: str, base: str, heading: str) -> None:
    manifest = read(tiny_bundle)
    card = model_card(replace(manifest, model=replace(manifest.model, id=model)), None)
    lines = card.splitlines()
    assert base in lines
    assert any(line.startswith(heading) for line in lines)
