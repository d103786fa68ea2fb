"""Vectors on standard output."""

import numpy as np
import pytest
from minilm.bulk import Record
from minilm.cli.screen import ScreenSink
from minilm.runtime import EncodeReport


def test_json_lines_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    sink = ScreenSink(2)
    sink.add([Record('quo"te\n')], np.array([[0.5, -1]], np.float32), EncodeReport())
    assert list(sink.rest([Record("more")])) == [Record("more")]
    assert sink.rows == 1
    assert capsys.readouterr().out == '{"text": "quo\\"te\\n", "embedding": [0.5, -1]}\n'


def test_a_preview_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    ScreenSink(384).add([Record("x" * 60)], np.full((1, 384), 0.25, np.float32), EncodeReport())
    out = capsys.readouterr().out
    assert out == f"'{'x' * 39}…' [ 0.2500,  0.2500,  0.2500,  0.2500, … 384 numbers]\n"
