"""A report as SARIF 2.1.0, which code hosts show beside a change."""

import json
from typing import Any, Final
from urllib.parse import quote

from minilm.runtime.display import visible
from minilm.verify.gates import GATES
from minilm.verify.reports.formatting import format_failure
from minilm.verify.results import Report

__all__ = ["render"]

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def render(report: Report) -> str:
    """A result per failed gate; the manifest stands for the place, as no source line fits."""
    rules = [
        {
            "id": name,
            "shortDescription": {"text": spec.meaning},
            "help": {"text": spec.advice},
        }
        for name, spec in GATES.items()
    ]
    results = [
        {
            "ruleId": gate.name,
            "level": "error",
            "message": {
                "text": _message(
                    f"{place}: {gate.name} is {format_failure(gate)}. {gate.worst or gate.detail}"
                )
            },
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": f"{quote(report.artifact)}/{file}"}
                    }
                }
                for file in ("manifest.json",)
            ],
        }
        for place, gate in report.failures
    ]
    data: dict[str, Any] = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "minilm-toolkit", "rules": rules}},
                "results": results,
            }
        ],
    }
    return json.dumps(data, indent=1) + "\n"


def _message(text: str) -> str:
    """A viewer makes a link of `[text](target)` (SARIF 2.1.0, 3.11.6)."""
    return visible(text.strip()).replace("](", "] (")
