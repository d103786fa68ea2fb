"""How good an artifact has to be: a threshold per gate and variant, built in or from a TOML file.

A file names variants ("cpu/int8"), precisions ("int8") or all ("*"), the narrower one winning, and
changes thresholds or switches a gate off with `false`:

    ["*"]
    unit-length = 0.0001

    [int8]
    cosine-min = 0.995

    ["cuda/int8"]
    kendall = false
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from minilm.runtime.errors import UsageError
from minilm.runtime.manifest import VARIANTS, Precision
from minilm.runtime.suggest import did_you_mean
from minilm.verify.gates import GATES, Gate

__all__ = ["BUILT_IN", "Policy", "PolicyError", "built_in_rules", "load_policy"]


class PolicyError(UsageError):
    """A policy file cannot be read; the message names the file and the line."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Thresholds.

    Attributes:
        name: for the report: "built-in", or the file.
        rules: "*", precision or variant name to gate to threshold; None switches a gate off.
    """

    name: str
    rules: Mapping[str, Mapping[str, float | None]]

    def thresholds(self, variant: str) -> dict[str, float | None]:
        """Thresholds for the variant "target/precision", every layer of the rules applied."""
        precision = variant.rpartition("/")[2]
        merged: dict[str, float | None] = {}
        for key in ("*", precision, variant):
            merged |= self.rules.get(key, {})
        return merged


def built_in_rules(gates: Iterable[Gate[Any]]) -> dict[str, dict[str, float | None]]:
    """The gates' own thresholds, by "*", precision or variant."""
    rules: dict[str, dict[str, float | None]] = {}
    for gate in gates:
        for key, threshold in gate.thresholds.items():
            rules.setdefault(key, {})[gate.name] = threshold
    return rules


BUILT_IN: Final = Policy(name="built-in", rules=built_in_rules(GATES.values()))


def load_policy(path: Path) -> Policy:
    """Read a policy file on top of the built-in one.

    Raises:
        PolicyError: it cannot be read or parsed, or names an unknown gate or variant.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PolicyError(f"cannot read the policy {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PolicyError(f"cannot read the policy {path}: it is not UTF-8: {error}") from error
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise PolicyError(f"the policy {path} is not TOML: {error}") from error
    changes = {key: _section(path, text, key, value) for key, value in data.items()}
    rules = {key: dict(value) for key, value in BUILT_IN.rules.items()}
    for key in sorted(changes, key=_width):
        for narrower, values in rules.items():
            # What the file says of many variants wins over what is built in for one of them.
            if key == "*" or narrower.endswith(f"/{key}"):
                values |= {gate: x for gate, x in changes[key].items() if gate in values}
        rules.setdefault(key, {}).update(changes[key])
    return Policy(name=path.name, rules=rules)


def _width(key: str) -> int:
    return 0 if key == "*" else 1 + key.count("/")


def _section(path: Path, text: str, key: str, values: Any) -> dict[str, float | None]:
    known = ("*", *get_args(Precision), *VARIANTS)
    if key not in known or not isinstance(values, dict):
        raise PolicyError(
            f"{path}, line {_line(text, None, key)}: {key!r} is no section of a "
            f"policy{did_you_mean(key, known)}; expected one of: {', '.join(known)}"
        )
    return {gate: _value(path, text, key, gate, value) for gate, value in values.items()}


def _value(path: Path, text: str, key: str, gate: str, value: Any) -> float | None:
    where = f"{path}, line {_line(text, key, gate)}"
    adjustable = [name for name, known in GATES.items() if known.adjustable]
    if gate not in GATES:
        raise PolicyError(
            f"{where}: unknown gate {gate!r}{did_you_mean(gate, adjustable)}; "
            f"known: {', '.join(adjustable)}"
        )
    if gate not in adjustable:
        raise PolicyError(f"{where}: the gate {gate!r} has no threshold to set")
    if value is False:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1 <= value <= 1:
        raise PolicyError(
            f"{where}: {gate} = {value!r}; expected a number from -1 to 1, or false to switch "
            "the gate off"
        )
    return float(value)


def _line(text: str, section: str | None, key: str) -> int:
    """Line of `key`, which tomllib does not tell; of the section's header where key is one."""
    quoted = rf"""["']?{re.escape(key)}["']?"""
    current: str | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"""\s*\[\s*["']?(.*?)["']?\s*\]""", line)
        if header:
            current = header[1]
            if section is None and current == key:
                return number
        elif (section is None or current == section) and re.match(rf"\s*{quoted}\s*[=.]", line):
            return number
    return 1
