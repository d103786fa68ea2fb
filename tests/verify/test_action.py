"""The action and the examples for CI speak of inputs, options and formats that exist."""

import hashlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from minilm.cli.commands.verify import command
from minilm.runtime.manifest import MANIFEST_NAME, read
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
        assert set(re.findall(r"""(?<=[\s("])--[a-z-]+""", after)) <= options_of_verify()
        for formats in re.findall(r"--report[ =]([\w,]+)", after):
            assert set(formats.split(",")) <= set(REPORT_FORMATS)


def test_inputs_are_used_and_declared() -> None:
    action = parsed(ROOT / "action.yml")
    assert list(action["inputs"]) == [
        *("bundle", "variants", "against", "policy", "sts", "corpus", "threads"),
        *("report-dir", "python-version"),
    ]
    assert list(action["outputs"]) == ["report-dir", "exit-code", "cache-key"]
    used = set(re.findall(r"inputs\.([\w-]+)", (ROOT / "action.yml").read_text("utf-8")))
    assert used == set(action["inputs"])
    assert all(item["description"] for item in action["inputs"].values())
    example = parsed(ROOT / "examples/ci/github.yml")
    for job in example["jobs"].values():
        (step,) = (s for s in job["steps"] if s["uses"].startswith("OWNER/minilm-toolkit@"))
        assert {"bundle"} <= set(step["with"]) <= set(action["inputs"])
    assert action["runs"]["using"] == "composite"


def test_no_input_is_pasted_into_a_script() -> None:
    for step in parsed(ROOT / "action.yml")["runs"]["steps"]:
        assert ("run" in step) == (step.get("shell") == "bash")
        assert "${{" not in step.get("run", "")
        if "run" in step:
            subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True)


class Step:
    """A step of the action, run as GitHub does: bash, the step's environment, files of commands."""

    def __init__(self, name: str, folder: Path) -> None:
        steps = parsed(ROOT / "action.yml")["runs"]["steps"]
        (step,) = (step for step in steps if step.get("id") == name)
        self._script, self._names = step["run"], set(step["env"])
        self._folder = folder
        self.code, self.log, self.outputs, self.summary = 0, "", dict[str, str](), ""

    def run(self, **env: str | Path) -> "Step":
        """Run it; every name of its environment that is not given is empty, as inputs are."""
        output, summary = self._folder / "output", self._folder / "summary"
        for file in (output, summary):
            file.write_text("")
        assert set(env) <= self._names | {"PATH"}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", self._script],
            check=False,
            cwd=self._folder,
            env={
                **os.environ,
                **dict.fromkeys(self._names, ""),
                "GITHUB_ACTION_PATH": str(ROOT),
                "GITHUB_OUTPUT": str(output),
                "GITHUB_STEP_SUMMARY": str(summary),
                **{name: str(value) for name, value in env.items()},
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.code, self.log, self.summary = done.returncode, done.stdout, summary.read_text("utf-8")
        self.outputs = dict(line.split("=", 1) for line in output.read_text("utf-8").splitlines())
        return self


BIN = Path(sys.executable).parent


def test_the_cache_key_is_the_documented_one(tiny_bundle: Path, tmp_path: Path) -> None:
    weights = read(tiny_bundle).model.weights_sha256[:16]
    constraints = hashlib.sha256((ROOT / "constraints.txt").read_bytes()).hexdigest()[:16]
    step = Step("key", tmp_path)
    asked = {"PYTHON": sys.executable, "PREFIX": "minilm-toolkit-Linux-X64-py3.11"}
    (key,) = step.run(BUNDLE=tiny_bundle, **asked).outputs.values()
    assert key == f"minilm-toolkit-Linux-X64-py3.11-{weights}-{constraints}"
    documented = re.search(r"^#   (minilm-\S+?)\[", (ROOT / "action.yml").read_text("utf-8"), re.M)
    assert documented
    assert re.sub("[0-9a-f]{16}", "#", documented[1]) == re.sub("[0-9a-f]{16}", "#", key)
    against = hashlib.sha256(b"org/name").hexdigest()[:16]
    (other,) = step.run(BUNDLE=tiny_bundle, AGAINST="org/name", **asked).outputs.values()
    assert other == f"{key}-{against}"
    (foreign,) = step.run(BUNDLE=tmp_path, **asked).outputs.values()
    assert foreign == f"minilm-toolkit-Linux-X64-py3.11-none-{constraints}"


@pytest.mark.parametrize(
    "manifest",
    [
        '{"model": {"weights_sha256": "a\\nkey=b"}}',
        '{"model": {"weights_sha256": 5}}',
        '{"model": [1]}',
        "[1]",
        "null",
        "{",
        "[" * 99999,
        "\udcff",
    ],
)
def test_a_bad_manifest_has_a_key_and_no_verdict(manifest: str, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / MANIFEST_NAME).write_bytes(manifest.encode("utf-8", "surrogateescape"))
    asked = {"PYTHON": sys.executable, "PREFIX": "prefix"}
    step = Step("key", tmp_path).run(BUNDLE=bundle, **asked)
    assert step.code == 0
    assert re.fullmatch("prefix-none-[0-9a-f]{16}", step.outputs["key"])
    step = Step("verify", tmp_path).run(BIN=BIN, BUNDLE=bundle, REPORT_DIR="report")
    assert (step.code, step.outputs, step.summary) == (3, {"exit-code": "3"}, "")
    assert "::error title=toolkit verify::no verdict, exit code 3: see the log" in step.log


def test_a_key_is_one_line(tmp_path: Path) -> None:
    step = Step("key", tmp_path).run(PYTHON=sys.executable, PREFIX="py3.11\nkey=b", BUNDLE="b")
    assert list(step.outputs) == ["key"]
    assert step.outputs["key"].startswith("py3.11_key_b-none-")


def test_a_bundle_passes(tiny_bundle: Path, tiny_model: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    report.mkdir()
    (report / "report.md").write_text("an older one")
    step = Step("verify", tmp_path).run(
        BIN=BIN, BUNDLE=tiny_bundle, AGAINST=tiny_model, VARIANTS="cpu/fp32", REPORT_DIR=report
    )
    assert (step.code, step.outputs) == (0, {"exit-code": "0"})
    assert "an older one" not in step.summary
    assert step.summary == (report / "report.md").read_text("utf-8")
    assert {path.name for path in report.iterdir()} == {name for name, _ in REPORT_FORMATS.values()}


def test_a_conversion_fails_by_its_own_policy(
    tiny_bundle: Path, tiny_model: Path, tmp_path: Path
) -> None:
    conversion, report = tmp_path / "model", tmp_path / "report"
    shutil.copytree(tiny_model, conversion)
    for name in ("a", "b"):
        shutil.copyfile(tiny_bundle / "onnx/model.onnx", conversion / f"{name}.onnx")
    (tmp_path / "strict.toml").write_text("[fp32]\nsts-drop = -1\n")
    pairs = "".join(f"a cat,number {n},{n % 5}\n" for n in range(40))
    (tmp_path / "pairs.csv").write_text(pairs)
    (tmp_path / "texts.txt").write_text("".join(f"a text, number {n}\n" for n in range(40)))
    step = Step("verify", tmp_path).run(
        BIN=BIN, BUNDLE=conversion, AGAINST=tiny_model, VARIANTS="a.onnx\nb.onnx\n",
        POLICY="strict.toml", STS="pairs.csv", CORPUS="texts.txt", THREADS="1", REPORT_DIR=report,
    )  # fmt: skip
    assert (step.code, step.outputs) == (1, {"exit-code": "1"})
    document = json.loads((report / "report.json").read_text("utf-8"))
    assert [variant["name"] for variant in document["variants"]] == ["a.onnx", "b.onnx"]
    failed = [g["name"] for v in document["variants"] for g in v["gates"] if not g["passed"]]
    assert failed == ["sts-drop", "sts-drop"]
    assert document["policy"] == "strict.toml"
    assert any("40 texts of texts.txt" in note for note in document["notes"])
    assert step.log.count("::error ") == 3  # the verdict, and a gate of each graph


def test_no_verdict_is_an_error_that_says_so(tmp_path: Path) -> None:
    step = Step("verify", tmp_path).run(BIN=BIN, BUNDLE="absent", REPORT_DIR="report")
    assert (step.code, step.outputs, step.summary) == (3, {"exit-code": "3"}, "")
    assert "::error title=toolkit verify::no verdict, exit code 3: see the log" in step.log


@pytest.mark.parametrize("bundle", ["--help", "--version", "-h"])
def test_a_bundle_called_like_an_option_has_no_verdict(bundle: str, tmp_path: Path) -> None:
    step = Step("verify", tmp_path).run(BIN=BIN, BUNDLE=bundle, REPORT_DIR="--report")
    assert (step.code, step.outputs, step.summary) == (3, {"exit-code": "3"}, "")
    assert "::error title=toolkit verify::no verdict, exit code 3: see the log" in step.log


@pytest.mark.parametrize(
    "report",
    [None, "", '{\n "format": 1,\n "passed": false,\n "x": {\n  "passed": true,\n }\n}\n'],
    ids=["none", "empty", "failed"],
)
def test_success_takes_a_report_that_says_so(report: str | None, tmp_path: Path) -> None:
    """A command that ends well and says nothing, or something else."""
    binaries, folder = tmp_path / "bin", tmp_path / "report"
    binaries.mkdir()
    folder.mkdir()
    (binaries / "python").symlink_to(sys.executable)
    lines = ["#!/bin/sh", "echo ::error::forged"]
    if report is not None:
        (tmp_path / "given.json").write_text(report)
        lines += [f"cp given.json {folder}/report.json", f"touch {folder}/report.md"]
        lines += [f"touch {folder}/github.txt"]
    (binaries / "toolkit").write_text("\n".join(lines) + "\n")
    (binaries / "toolkit").chmod(0o755)
    step = Step("verify", tmp_path).run(BIN=binaries, BUNDLE="b", REPORT_DIR=folder)
    assert (step.code, step.outputs) == (70, {"exit-code": "70"})
    assert ("no verdict, exit code 70" in step.log) is (report is None)
    # What the command prints is between the lines that switch commands off and on.
    stop, forged, go, *_ = step.log.splitlines()
    token = stop.removeprefix("::stop-commands::")
    assert re.fullmatch("[0-9a-f]{32}", token)
    assert (forged, go) == ("::error::forged", f"::{token}::")


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="no actionlint is installed")
def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    """The workflows as they stand, and the example with the action that stands here."""
    workflows = tmp_path / ".github/workflows"
    workflows.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    shutil.copy(ROOT / "action.yml", tmp_path)
    shutil.copy(ROOT / ".github/workflows/ci.yml", workflows)
    example = (ROOT / "examples/ci/github.yml").read_text("utf-8")
    (workflows / "example.yml").write_text(example, encoding="utf-8")
    local = re.sub(r"OWNER/minilm-toolkit@\S+", "./", example).replace("          # ", " " * 10)
    assert local.count("uses: ./") == 2
    (workflows / "local.yml").write_text(local, encoding="utf-8")
    done = subprocess.run(["actionlint"], check=False, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
