"""A report as SARIF 2.1.0, which code hosts show beside a change."""

import json
from typing import Any, Final

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
                "text": f"{place}: {gate.name} is {format_failure(gate)}. "
                f"{gate.worst or gate.detail}".strip()
            },
            "locations": [
                {"physicalLocation": {"artifactLocation": {"uri": f"{report.artifact}/{file}"}}}
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
