"""Tables and progress: plain where nobody looks, drawn on a terminal."""

import io
import logging
import re

import pytest
from minilm.cli.console import (
    conclude,
    counting,
    logging_on,
    print_json,
    print_table,
    size,
    steps,
    verdict,
)


def test_a_plain_table_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("files", ("path", "size"), [("a", "12 B"), ("long/name", "1 kB")])
    assert capsys.readouterr().out == (
        "files\npath       size\na          12 B\nlong/name  1 kB\n\n"
    )


def test_a_table_without_a_head(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("facts", ("", ""), [("model", "x")])
    assert capsys.readouterr().out == "facts\nmodel  x\n\n"


def test_an_empty_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("files", ("path", "size"), [])
    assert capsys.readouterr().out == "files\npath  size\n\n"


def test_a_drawn_table_takes_text_as_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_table("texts", ("text",), [("[bold]not markup[/bold] :smile:",)])
    out = capsys.readouterr().out
    assert "[bold]not markup[/bold] :smile:" in out
    assert "─" in out


def test_names_stay_whole_at_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    names = ("openvino/bf16", "native/int8")
    print_table("wide", ("variant", "a", "b"), [(name, "x" * 70, "y " * 40) for name in names])
    out = re.sub("\x1b.*?m", "", capsys.readouterr().out)
    assert all(name in out for name in names)
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(("encoding", "shown"), [("utf-8", "✗ FAILED 2"), ("ascii", "FAILED 2")])
def test_a_verdict_has_a_sign_where_it_can_be_shown(
    encoding: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert verdict(passed=False, count=2) == shown


def test_a_conclusion_is_for_terminals_and_logs(
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    conclude("wrote x.npy")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    conclude("wrote x.npy")
    assert capsys.readouterr() == ("", "wrote x.npy\n")
    monkeypatch.setattr(logging.getLogger("minilm"), "handlers", [caplog.handler])
    caplog.set_level(logging.INFO, "minilm")
    conclude("wrote y.npy")
    assert caplog.messages[-1] == "wrote y.npy"
    assert capsys.readouterr().err == ""


def test_json_is_strict(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "é", "figure": 0.5})
    assert capsys.readouterr().out == '{\n  "name": "é",\n  "figure": 0.5\n}\n'
    with pytest.raises(ValueError, match="Out of range float"):
        print_json(float("nan"))


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (466_247, "466 kB"), (90_374_454, "90.4 MB")],
)
def test_size(count: int, text: str) -> None:
    assert size(count) == text


def test_steps_are_lines_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with steps() as step:
        step("export")
        step("optimize")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "export\noptimize\n")


def test_steps_leave_it_to_the_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("minilm"), "handlers", [logging.NullHandler()])
    with steps() as step:
        step("export")
    assert capsys.readouterr() == ("", "")


def test_steps_that_the_work_does_not_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not logging_on()
    monkeypatch.setattr(logging.getLogger("minilm"), "handlers", [caplog.handler])
    assert logging_on()
    caplog.set_level(logging.INFO, "minilm")
    with steps(logged=False) as step:
        step("judging cpu/int8")
    assert "judging cpu/int8" in caplog.messages


def test_steps_are_drawn_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with steps() as step:
        step("export")
    assert capsys.readouterr().out == ""


def test_counting_is_silent_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with counting("texts") as count:
        count(10)
    assert capsys.readouterr() == ("", "")


def test_counting_draws_only_what_takes_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 0.0
    monkeypatch.setattr("minilm.cli.console.time.monotonic", lambda: clock)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with counting("texts", 500) as count:
        count(100)
        assert capsys.readouterr().err == ""
        clock = 2.0
        count(1900)
    drawn = capsys.readouterr().err
    assert "2,500 texts, 1,000/s" in drawn
    assert drawn.endswith("\x1b[2K")  # the line is cleared: nothing of it stays on the screen
