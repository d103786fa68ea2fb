"""Foreign text on the terminal and in a CI log: no control character, no command gets through."""

import json
import logging
import warnings

import numpy as np
import pytest
from minilm.bulk import Record
from minilm.cli import _show_warning
from minilm.cli.console import note, print_json, print_table, steps
from minilm.cli.failures import report
from minilm.cli.logs import configure
from minilm.cli.screen import ScreenSink
from minilm.runtime import EncodeReport
from minilm.runtime.errors import InvalidArtifact

NASTY = "name\n::error::x\x1b[2J \x9b31m ##vso[task.x] \u202e"
SHOWN = r"name\n::error::x\x1b[2J \x9b31m \x23#vso[task.x] \u202e"


def said(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    return str(out + err)


def test_tables(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(NASTY, ("id",), [(NASTY,)])
    assert said(capsys) == f"{SHOWN}\nid\n{SHOWN}\n\n"


def test_drawn_tables(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    print_table(NASTY, ("id",), [(NASTY,)])
    assert said(capsys).count(SHOWN) == 2


def test_notes_and_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    note(NASTY)
    _show_warning(NASTY)
    assert said(capsys) == f"note: {SHOWN}\nwarning: {SHOWN}\n"


def test_the_hook_of_warnings(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warnings, "showwarning", _show_warning)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(NASTY, stacklevel=1)
    assert said(capsys) == f"warning: {SHOWN}\n"


def test_steps(capsys: pytest.CaptureFixture[str]) -> None:
    with steps() as step:
        step(NASTY)
    assert said(capsys) == f"{SHOWN}\n"


@pytest.mark.parametrize(
    ("error", "lead"), [(InvalidArtifact(NASTY), "error: "), (OSError(5, NASTY), "error: ")]
)
def test_errors(error: Exception, lead: str, capsys: pytest.CaptureFixture[str]) -> None:
    report(error)
    assert said(capsys) == f"{lead}{SHOWN}\n"


def test_an_internal_error(capsys: pytest.CaptureFixture[str]) -> None:
    report(ValueError(NASTY))
    lines = said(capsys).splitlines()
    assert all(line.isprintable() and not line.lstrip().startswith("::") for line in lines)


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"id": NASTY, "é": "日本"})
    text = said(capsys)
    assert json.loads(text) == {"id": NASTY, "é": "日本"}
    assert text.replace("\n", "").isprintable()
    assert "##vso" not in text
    assert "日本" in text


@pytest.mark.parametrize("as_json", [False, True])
def test_logs(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("minilm")
    before = (logger.handlers, logger.level, logger.propagate)
    try:
        configure(1, as_json=as_json)
        logging.getLogger("minilm.stage").info("model %s", NASTY)
    finally:
        logger.handlers, logger.level, logger.propagate = before
    text = said(capsys)
    assert all(line.isprintable() and not line.startswith("::") for line in text.splitlines())
    assert "##vso" not in text
    if as_json:
        assert json.loads(text)["message"] == f"model {NASTY}"


@pytest.mark.parametrize("terminal", [False, True])
def test_vectors_on_the_screen(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    ScreenSink(1).add(
        [Record(NASTY[:38], {"id": NASTY})], np.ones((1, 1), np.float32), EncodeReport()
    )
    text = said(capsys)
    assert text.rstrip("\n").isprintable()
    assert "##vso" not in text
    if not terminal:
        row = json.loads(text)
        assert (row["text"], row["id"]) == (NASTY[:38], NASTY)
