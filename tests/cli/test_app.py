"""The command as a process sees it: help, exit codes, messages, and what it imports."""

import json
import logging
from pathlib import Path

import minilm.cli.commands
import pytest
from minilm.cli.app import COMMANDS
from minilm.cli.logs import configure
from minilm.runtime.manifest import VARIANTS

from tests.support.cli import RUN, run_toolkit, toolkit


def test_public_surface() -> None:
    assert minilm.cli.__all__ == ["main"]


def test_every_module_with_a_command_is_in_the_table() -> None:
    folder = Path(minilm.cli.commands.__file__).parent
    modules = {path.stem for path in folder.glob("*.py") if "\ndef command(" in path.read_text()}
    assert modules == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example(name: str) -> None:
    result = toolkit(name, "--help")
    assert result.exit_code == 0
    assert f"  Example:\n    toolkit {name}" in result.stdout


def test_help_lists_the_commands_in_order() -> None:
    result = toolkit("--help")
    assert result.exit_code == 0
    listed = result.stdout.partition("Commands:\n")[2].splitlines()
    assert tuple(
        line.split()[0] for line in listed if line.startswith("  ") and line[2] != " "
    ) == (COMMANDS)


def test_version() -> None:
    result = run_toolkit("--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("minilm-toolkit ")
    assert toolkit("-V").stdout == result.stdout


def test_an_unknown_command_lists_the_known_ones() -> None:
    result = toolkit("embd")
    assert result.exit_code == 2
    assert (
        f"no command 'embd' (did you mean 'embed'?); there are: {', '.join(COMMANDS)}"
        in result.stderr
    )


@pytest.mark.parametrize(
    ("arguments", "known"),
    [
        (["embed", "--target", "tpu", "a"], ["'cpu'", "'openvino'", "'cuda'"]),
        (["embed", "--precision", "int4", "a"], ["'fp32'", "'bf16'", "'fp16'", "'int8'"]),
        (["embed", "--target", "cpu", "--precision", "fp16", "a"], list(VARIANTS)),
        (["build", "--variants", "cpu/int8,cpu/int4"], ["'cpu/int4'", *VARIANTS]),
        (["verify", "--variant", "tpu/int8"], ["'tpu/int8'", *VARIANTS]),
        (["optimize", "model.onnx", "--variant", ""], ["''", *VARIANTS]),
    ],
)
def test_an_unknown_choice_lists_the_known_ones(arguments: list[str], known: list[str]) -> None:
    result = toolkit(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    for name in known:
        assert name in result.stderr


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_it_says_what_to_install(missing: str) -> None:
    result = run_toolkit("--version", code=f"import sys; sys.modules[{missing!r}] = None\n{RUN}")
    assert (result.returncode, result.stdout) == (4, "")
    assert 'pip install "minilm-toolkit[cli]"' in result.stderr


def test_a_missing_bundle_exits_with_3() -> None:
    result = run_toolkit("inspect", "absent-bundle")
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr.startswith("error: no bundle at absent-bundle")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_imports_nothing_heavy(name: str) -> None:
    code = f"""
import sys
from minilm.cli import main
main([{name!r}, "--help"])
print("loaded:", *sorted(set(sys.modules) & {{"torch", "rich", "onnx", "onnxruntime", "logging"}}))
folder = "minilm.cli.commands"
print("commands:", *(name for name in {COMMANDS!r} if f"{{folder}}.{{name}}" in sys.modules))
"""
    lines = run_toolkit(code=code).stdout.splitlines()
    assert lines[-2] == "loaded:"
    assert lines[-1] == f"commands: {name}"


@pytest.mark.parametrize(
    ("verbose", "levels"), [(0, ["info"]), (1, ["info"]), (2, ["debug", "info"])]
)
def test_log_lines_are_json(
    verbose: int, levels: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("minilm")
    before = (logger.handlers, logger.level, logger.propagate)
    try:
        configure(verbose, as_json=True)
        logging.getLogger("minilm.stage").debug("detail")
        logging.getLogger("minilm.stage").info("exported %s", "é", extra={"seconds": 1.5})
    finally:
        logger.handlers, logger.level, logger.propagate = before
    entries = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [entry["level"] for entry in entries] == levels
    last = entries[-1]
    assert last.pop("time").endswith("+00:00")
    assert last == {
        "level": "info",
        "logger": "minilm.stage",
        "message": "exported é",
        "seconds": 1.5,
    }


@pytest.mark.parametrize("arguments", [("help",), ("help", "embed")])
def test_help_is_a_command_too(arguments: tuple[str, ...]) -> None:
    result = toolkit(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == toolkit(*arguments[1:], "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "level", "as_json"),
    [
        (("doctor", "-v"), logging.INFO, False),
        (("doctor", "-vv"), logging.DEBUG, False),
        (("doctor", "--log-json"), logging.INFO, True),
        (("doctor", "--log-json", "-vv"), logging.DEBUG, True),
        (("-v", "doctor"), logging.INFO, False),
    ],
)
def test_the_log_is_asked_for_before_or_after_the_command(
    arguments: tuple[str, ...], level: int, as_json: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("minilm")
    before = (logger.handlers, logger.level, logger.propagate)
    seen: list[tuple[int, str]] = []

    def command() -> None:
        seen.append((logger.level, type(logger.handlers[0].formatter).__name__))

    monkeypatch.setattr("minilm.cli.commands.doctor.command", command)
    try:
        assert toolkit(*arguments).exit_code == 0
    finally:
        logger.handlers, logger.level, logger.propagate = before
    assert seen == [(level, "_JsonFormatter" if as_json else "_PlainFormatter")]
