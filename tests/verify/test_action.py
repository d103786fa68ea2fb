"""The action and the examples for CI speak of inputs, options and formats that exist."""

import importlib
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
from minilm.cli.verify import command
from minilm.verify import REPORT_FORMATS

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples/ci").iterdir())


def parsed(path: Path) -> Any:
    # It ships no types, and comes with transformers.
    return importlib.import_module("yaml").safe_load(path.read_text(encoding="utf-8"))


def scripts(data: Any) -> list[str]:
    """Every string in a tree of YAML."""
    if isinstance(data, dict):
        return [text for value in data.values() for text in scripts(value)]
    if isinstance(data, list):
        return [text for value in data for text in scripts(value)]
    return [data] if isinstance(data, str) else []


def toolkit_calls(path: Path) -> list[str]:
    return [text for text in scripts(parsed(path)) if re.search(r'toolkit"? verify ["\w$]', text)]


def options_of_verify() -> set[str]:
    app = typer.Typer(add_completion=False)
    app.command()(command)
    return {name for item in typer.main.get_command(app).params for name in item.opts}


@pytest.mark.parametrize("path", [ROOT / "action.yml", *EXAMPLES], ids=lambda path: path.name)
def test_every_option_exists(path: Path) -> None:
    calls = toolkit_calls(path)
    assert calls or path.name == "github.yml"
    for text in calls:
        start = re.search("options=|toolkit", text)
        assert start
        after = text[start.start() :]
        assert set(re.findall(r"(?<=[\s(])--[a-z-]+", after)) <= options_of_verify()
        for formats in re.findall(r"--report ([\w,]+)", after):
            assert set(formats.split(",")) <= set(REPORT_FORMATS)


def test_inputs_are_used_and_declared() -> None:
    action = parsed(ROOT / "action.yml")
    assert list(action["inputs"]) == ["bundle", "against", "policy", "report-dir", "python-version"]
    used = set(re.findall(r"inputs\.([\w-]+)", (ROOT / "action.yml").read_text("utf-8")))
    assert used == set(action["inputs"])
    assert all(item["description"] for item in action["inputs"].values())
    example = parsed(ROOT / "examples/ci/github.yml")
    (step,) = (s for s in example["jobs"]["verify"]["steps"] if s.get("id") == "toolkit")
    assert set(step["with"]) <= set(action["inputs"])
    assert action["runs"]["using"] == "composite"


def test_no_input_is_pasted_into_a_script() -> None:
    for step in parsed(ROOT / "action.yml")["runs"]["steps"]:
        assert ("run" in step) == (step.get("shell") == "bash")
        assert "${{" not in step.get("run", "")
        if "run" in step:
            subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True)
