import json
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.harness.environments import ROOT
from benchmarks.reporting import machine
from benchmarks.suites import cold_start, install_size
from benchmarks.suites.cold_start_steps import WRAPPED


def test_cold_start_steps_name_existing_functions() -> None:
    for module, name in WRAPPED.values():
        assert callable(getattr(import_module(module), name))


def test_time_process_includes_the_whole_process(tmp_path: Path) -> None:
    sleeping = [sys.executable, "-c", "import time; time.sleep(0.2)"]
    assert cold_start.time_process(sleeping, tmp_path) > 0.2


def test_time_starts_skips_a_failing_command_with_its_last_line(tmp_path: Path) -> None:
    broken = [sys.executable, "-c", "raise SystemExit('no model here')"]
    fine = [sys.executable, "-c", "import sys; assert sys.path[0] == ''"]
    seconds, failed = cold_start.time_starts({"broken": broken, "fine": fine}, tmp_path, 2)
    assert failed == {"broken": "exit code 1: no model here"}
    assert len(seconds["fine"]) == 2


def test_install_size_counts_dependencies() -> None:
    found = install_size.closure("pytest")
    assert {"pytest", "pluggy", "iniconfig", "packaging"} <= set(found)
    assert install_size.size_bytes(found["pytest"]) > 100_000
    script = str(ROOT / "benchmarks" / "suites" / "install_size.py")
    done = subprocess.run(
        [sys.executable, "-I", script, "pluggy"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["versions"].keys() == {"pluggy"}


def test_cpu_model(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags\t: sse\nmodel name\t: A Processor\n", encoding="utf-8")
    assert machine.cpu_model(cpuinfo) == "A Processor"
    assert machine.cpu_model(tmp_path / "none")


def test_operations_of_a_text() -> None:
    # 10.6 million weights in the layers' products, two operations each, and attention.
    assert machine.operations(14) == pytest.approx(14 * 2 * 10_616_832 + 6 * 4 * 14**2 * 384)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["graphs", "model.txt"], 3, "error: no graph at model.txt: expected a file"),
        (["graphs", __file__], 2, "is neither an ONNX file nor an OpenVINO IR"),
        (["peers", "--rounds", "0"], 2, "must be greater than 0, got 0"),
    ],
)
def test_wrong_usage_exit_code_and_message(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    started = time.monotonic()
    try:
        found = main(arguments)
    except SystemExit as stop:
        found = int(str(stop.code))
    assert found == code
    assert message in capsys.readouterr().err
    assert time.monotonic() - started < 20
