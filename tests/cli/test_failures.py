"""Every way in which a command ends badly: one line, and a code of its own."""

import errno
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from minilm.cli import failures
from minilm.cli.failures import report
from minilm.runtime import errors

from tests.support.cli import RUN, run_toolkit, toolkit


def all_errors() -> list[type[errors.ToolkitError]]:
    return [getattr(errors, name) for name in errors.__all__ if name != "ToolkitError"]


def replace_doctor(monkeypatch: pytest.MonkeyPatch, raised: BaseException) -> None:
    def command() -> None:
        raise raised

    monkeypatch.setattr("minilm.cli.commands.doctor.command", command)


@pytest.mark.parametrize("error", all_errors())
def test_each_error_has_its_exit_code(
    error: type[errors.ToolkitError], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_doctor(monkeypatch, error("what happened"))
    result = toolkit("doctor")
    assert (result.exit_code, result.stdout) == (error.exit_code, "")
    assert result.stderr == "error: what happened\n"


def test_a_failed_write_names_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_doctor(monkeypatch, OSError(28, "No space left on device", "vectors.npy"))
    result = toolkit("doctor")
    assert result.exit_code == 74
    assert result.stderr == "error: No space left on device: vectors.npy\n"


def test_ctrl_c_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_doctor(monkeypatch, KeyboardInterrupt())
    result = toolkit("doctor")
    assert (result.exit_code, result.stderr) == (130, "error: interrupted\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["embd"], r"no command 'embd' \(did you mean 'embed'\?\); there are: build, .*; see .*"),
        (["embed", "--xyz"], "no such option: --xyz; see toolkit embed --help"),
        (
            ["embed", "--inptu", "x"],
            r"no such option: --inptu \(did you mean '--input'\?\); see toolkit embed --help",
        ),
        (
            ["verify", "--policy", "absent.toml"],
            "--policy: cannot read the policy absent.toml: No such file or directory",
        ),
        (
            ["verify", "--sts", "absent.csv"],
            "--sts: cannot read the labelled pairs absent.csv: No such file or directory",
        ),
        (
            ["verify", "--corpus", "absent.txt"],
            "--corpus: cannot read the texts of absent.txt: No such file or directory",
        ),
        (["verify", "--report-dir", "/proc/r"], "--report-dir: cannot write reports to /proc/r.*"),
        (["build", "--variants", "cpu/int"], r"--variants: no variant 'cpu/int' \(did you .*"),
        (["--foo"], "no such option: --foo; see toolkit --help"),
        (["embed", "a", "--threads", "0"], "--threads: 0 is not in the range x>=1"),
        (["embed", "a", "--precision", "x"], "--precision: 'x' is not one of 'fp32', .*"),
        (["embed", "a", "--target", "cpu", "--precision", "fp16"], "--precision: no variant .*"),
        (
            ["similarity", "a", "b", "--variant", "cpu/int8", "--target", "cpu"],
            "--variant: cpu/int8 says target and precision: give it, or --target and --precision",
        ),
        (["embed", "a", "--variant", "cpu/int4"], "--variant: no variant 'cpu/int4' .did you .*"),
        (["embed", "a", "--output", "x.csv"], "--output: x.csv: the name must end in .*"),
        (["embed", "a", "-o", "x.npy", "--keep", "id"], "--keep: x.npy has no room for other .*"),
        (["embed", "a", "--resume"], "--resume: applies to --output only"),
        (["compare"], "missing argument 'A'; see toolkit compare --help"),
        (["similarity", "a"], "give one more text, or --input FILE: one of the two"),
        (["verify", "--variants", "x"], "--variants: no variant 'x'; known: .*"),
    ],
)
def test_wrong_usage_looks_like_every_other_error(arguments: list[str], message: str) -> None:
    result = toolkit(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.fullmatch(f"error: {message}\n", result.stderr)


def test_no_command_shows_the_help() -> None:
    result = toolkit()
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: toolkit [OPTIONS] COMMAND")


def test_an_internal_error_asks_for_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_doctor(monkeypatch, ZeroDivisionError("ours"))
    result = toolkit("doctor")
    assert (result.exit_code, result.stdout) == (70, "")
    *traceback, last = result.stderr.splitlines()
    assert traceback[0] == "Traceback (most recent call last):"
    assert traceback[-1] == "ZeroDivisionError: ours"
    assert last.startswith(
        "error: internal error, ZeroDivisionError: ours; please report it with the lines above "
        "(minilm-toolkit "
    )


def test_an_error_without_a_code_of_its_own_is_internal(monkeypatch: pytest.MonkeyPatch) -> None:
    class ForgetfulError(errors.ToolkitError):
        pass

    replace_doctor(monkeypatch, ForgetfulError("what happened"))
    assert toolkit("doctor").exit_code == 70


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (MemoryError(), ""),
        (RuntimeError("std::bad_alloc"), " (std::bad_alloc)"),
        (RuntimeError("can't start new thread"), " (can't start new thread)"),
    ],
    ids=str,
)
def test_out_of_memory_says_so(
    error: Exception, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_doctor(monkeypatch, error)
    result = toolkit("doctor")
    assert (result.exit_code, result.stdout) == (71, "")
    message = f"error: out of memory{detail}: free some, or use fewer --threads\n"
    assert result.stderr == message


def test_numpy_out_of_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MemoryError) as caught:
        np.empty((1 << 60,), np.uint8)
    replace_doctor(monkeypatch, caught.value)
    assert toolkit("doctor").exit_code == 71


CLOSED = """
import os, sys
from minilm.cli import main
read, write = os.pipe()
os.close(read)
os.dup2(write, 1)
code = main(sys.argv[1:])
sys.stderr.write(f"code {code}\\n")
sys.exit(code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a closed pipe has another error there")
@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["inspect"], ["inspect", "--json"], ["doctor"]]
)
def test_a_closed_pipe_ends_quietly(arguments: list[str], tiny_bundle: Path) -> None:
    done = run_toolkit(*arguments, code=CLOSED, MINILM_BUNDLE=str(tiny_bundle))
    assert (done.returncode, done.stderr) == (141, "code 141\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_a_full_disk_behind_standard_output() -> None:
    code = "import os, sys; os.dup2(os.open('/dev/full', os.O_WRONLY), 1)\n" + RUN
    done = run_toolkit("--version", code=code)
    assert done.returncode == 74
    assert re.fullmatch("error: No space left on device(: standard output)?\n", done.stderr)


def test_a_closed_standard_error_hides_no_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(_: str) -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("sys.stderr.write", write)
    assert report(errors.GateFailed("what happened")) == 1


def test_an_error_of_a_closed_pipe_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "_discard_output", lambda: None)
    assert report(OSError(errno.EPIPE, "Broken pipe")) == 141


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams(closed: str, tiny_bundle: Path, tmp_path: Path) -> None:
    output = tmp_path / "vectors.npy"
    line = f'exec "$0" -c "$1" embed a -b "$2" --target cpu -o "$3" {closed}'
    command = ["sh", "-c", line, sys.executable, RUN, str(tiny_bundle), str(output)]
    subprocess.run(command, check=True, timeout=120)
    assert np.load(output).shape == (1, 32)


def test_a_closed_standard_input_holds_no_text(tiny_bundle: Path) -> None:
    line = 'exec "$0" -c "$1" embed -i - -b "$2" --target cpu <&-'
    command = ["sh", "-c", line, sys.executable, RUN, str(tiny_bundle)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("", "note: standard input holds no text\n")


TERMINATED = """
import sys, time
from pathlib import Path
import minilm.cli.commands.doctor
def command():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        if len(sys.argv) > 3: time.sleep(0.3)  # in which the second signal comes
        Path(sys.argv[2]).write_text("cleaned up")
minilm.cli.commands.doctor.command = command
from minilm.cli import main
sys.exit(main(sys.argv[1:2]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be asked to end there")
@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGHUP, "SIGHUP")]
)
@pytest.mark.parametrize("extra", [(), ("again",)], ids=["once", "twice"])
def test_a_signal_cleans_up_as_ctrl_c(
    number: signal.Signals, name: str, extra: tuple[str, ...], tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    with subprocess.Popen(
        [sys.executable, "-c", TERMINATED, "doctor", marker, *extra],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        if extra:
            time.sleep(0.1)
            process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (128 + number, f"error: ended by {name}\n")
    assert marker.read_text() == "cleaned up"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP")
def test_an_ignored_signal_stays_ignored() -> None:
    code = f"""
import signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
import minilm.cli.commands.doctor, os
minilm.cli.commands.doctor.command = lambda: os.kill(os.getpid(), signal.SIGHUP)
{RUN}"""
    assert run_toolkit("doctor", code=code).returncode == 0


def test_the_handlers_of_the_caller_come_back() -> None:
    code = f"""
import signal
from minilm.cli import main
main(["--version"])
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
{RUN}"""
    assert run_toolkit("--version", code=code).returncode == 0
