import io
import sys

import pytest
from minilm.runtime import Encoder
from minilm.runtime.progress import Progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar(tiny: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    tiny.encode(["some words"] * 50, show_progress_bar=True)
    assert terminal.getvalue().endswith(f"\r{'█' * 30} 50/50 texts\n")


def test_windows_of_a_text_count_once(tiny: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    tiny.encode(["many words " * 500, "few"], show_progress_bar=True, on_long="mean")
    assert terminal.getvalue().endswith(" 2/2 texts\n")
    assert terminal.getvalue().count("\n") == 1


def test_a_file_gets_nothing(tiny: Encoder, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.encode(["a", "b"], show_progress_bar=True)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_no_texts_and_no_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    Progress(0).advance(0)
    assert terminal.getvalue() == ""
    monkeypatch.setattr(sys, "stderr", None)
    Progress(3).advance(1)
