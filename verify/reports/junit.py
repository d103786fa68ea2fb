"""A report as JUnit XML, which CI systems show as tests."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from minilm.runtime.display import visible
from minilm.verify.reports.formatting import format_failure, share_used
from minilm.verify.results import GateResult, Report

__all__ = ["render"]


def render(report: Report) -> str:
    """A suite for the bundle and one per variant, a case per gate."""
    root = ET.Element("testsuites", name=visible(f"toolkit verify {report.artifact}"))
    _suite(root, "bundle", report.gates, report.notes, 0.0)
    for variant in report.variants:
        _suite(root, visible(variant.name), variant.gates, variant.notes, variant.seconds)
    root.set("tests", str(len(root.findall("testsuite/testcase"))))
    root.set("failures", str(len(report.failures)))
    root.set("errors", "0")
    root.set("skipped", str(len(root.findall("testsuite/testcase/skipped"))))
    root.set("time", f"{report.seconds:.3f}")
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(
    root: ET.Element,
    name: str,
    gates: Sequence[GateResult],
    notes: Sequence[str],
    seconds: float,
) -> None:
    failures = sum(not gate.passed for gate in gates)
    suite = ET.SubElement(
        root,
        "testsuite",
        name=name,
        tests=str(len(gates) + len(notes)),
        failures=str(failures),
        errors="0",
        skipped=str(len(notes)),
        time=f"{seconds:.3f}",
    )
    for gate in gates:
        case = ET.SubElement(suite, "testcase", classname=name, name=gate.name, time="0")
        _properties(case, gate)
        if not gate.passed:
            message = f"{gate.name} is {format_failure(gate)}"
            failure = ET.SubElement(case, "failure", type="GateFailed", message=message)
            parts = [gate.meaning, gate.worst and f"worst: {gate.worst}", gate.detail, gate.advice]
            failure.text = "\n".join(visible(part) for part in parts if part)
    for place, note in enumerate(notes, start=1):
        case = ET.SubElement(suite, "testcase", classname=name, name=f"note-{place}", time="0")
        ET.SubElement(case, "skipped", message=visible(note))


def _properties(case: ET.Element, gate: GateResult) -> None:
    """Figure and threshold, which CI systems keep and draw over time."""
    properties = ET.SubElement(case, "properties")
    held = {
        "figure": repr(gate.figure),
        "comparison": gate.comparison,
        "threshold": repr(gate.threshold),
    }
    share = share_used(gate)
    if share is not None:
        held["share of the allowed error"] = f"{share:.6g}"
    for name, value in held.items():
        ET.SubElement(properties, "property", name=name, value=value)
