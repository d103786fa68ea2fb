"""Time the steps of a start of native/int8; runs by itself, in the environment of the wheel.

    python -I cold_start_steps.py BUNDLE STARTED

STARTED is the caller's `time.monotonic_ns()` just before it started this process. Prints JSON: the
seconds of each step, and `time.monotonic_ns()` at the end, from which the caller knows the exit.
Imports are timed by themselves, before: `load` makes them while it reads the files.
"""

import time

_FIRST_LINE = time.monotonic_ns()

import json  # noqa: E402 - the clock is read before anything else
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from importlib import import_module  # noqa: E402
from typing import Any, Final  # noqa: E402

__all__ = ["WRAPPED", "main"]

WRAPPED: Final = {
    "read and hash files": ("minilm.runtime.loading", "_read"),
    "tokenizer (beside the session)": ("minilm.runtime.text.tokenizer", "TextTokenizer"),
    "session": ("minilm.runtime.backends.native", "open_session"),
}
"""Step of `load` to the function that does it: a test holds that these exist."""

_IMPORTS: Final = ("numpy", "tokenizers", "minilm.runtime")


def main(bundle: str, started: int) -> None:
    """Load, embed one text, print what each step took."""
    seconds: dict[str, float] = {"interpreter": (_FIRST_LINE - started) / 1e9}
    for name in _IMPORTS:
        before = time.perf_counter()
        import_module(name)
        seconds[f"import {name}"] = time.perf_counter() - before
    for step, (module, name) in WRAPPED.items():
        seconds[step] = 0.0
        _wrap(module, name, step, seconds)
    before = time.perf_counter()
    encoder = import_module("minilm.runtime").load(bundle, target="native", precision="int8")
    seconds["load, all of it"] = time.perf_counter() - before
    before = time.perf_counter()
    encoder.encode("a text")
    seconds["first vector"] = time.perf_counter() - before
    print(json.dumps({"seconds": seconds, "ended": time.monotonic_ns()}), flush=True)


def _wrap(module: str, name: str, step: str, seconds: dict[str, float]) -> None:
    """Replace a function by one that adds its time to a step."""
    holder = import_module(module)
    function: Callable[..., Any] = getattr(holder, name)

    def timed(*arguments: Any, **options: Any) -> Any:
        before = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            seconds[step] += time.perf_counter() - before

    setattr(holder, name, timed)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
