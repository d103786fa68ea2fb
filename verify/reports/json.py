"""A report as JSON, as `report.schema.json` describes it."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from minilm.verify.results import Report, VariantReport

__all__ = ["FORMAT", "SCHEMA_ID", "render", "schema"]

FORMAT: Final = 1
"""Of `report.json`; `report.schema.json` describes it."""

SCHEMA_ID: Final = f"urn:minilm-toolkit:report:{FORMAT}"
"""`$id` of `report.schema.json`, which a report names as its `$schema`."""


def render(report: Report) -> str:
    """The whole report; a figure that is not finite becomes null."""
    data: dict[str, Any] = {
        "$schema": SCHEMA_ID,
        "format": FORMAT,
        "passed": report.passed,
        "artifact": report.artifact,
        "model": report.model,
        "reference": report.reference,
        "policy": report.policy,
        "gates": [asdict(gate) for gate in report.gates],
        "variants": [_variant(variant) for variant in report.variants],
        "corpus": [asdict(info) for info in report.corpus],
        "notes": report.notes,
        "environment": report.environment,
        "command": report.command,
        "seconds": report.seconds,
    }
    return json.dumps(_plain(data), indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def schema() -> dict[str, Any]:
    """The JSON Schema of `report.json`."""
    path = Path(__file__).with_name("report.schema.json")
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


def _variant(variant: VariantReport) -> dict[str, Any]:
    return {
        "name": variant.name,
        "gates": [asdict(gate) for gate in variant.gates],
        "cosines": variant.cosines,
        "size_bytes": variant.size_bytes,
        "operators": variant.operators,
        "runs_on": variant.runs_on,
        "notes": variant.notes,
        "seconds": variant.seconds,
        "passed": variant.passed,
        "parity": asdict(variant.parity) if variant.cosines else None,
    }


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value
