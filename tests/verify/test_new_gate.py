"""The example of CONTRIBUTING.md: a new gate is one file and one line."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
from minilm.verify import Policy, ReportFormat, render_report
from minilm.verify import gates as registry
from minilm.verify.evaluation import evaluate_candidate
from minilm.verify.gates import VARIANT_GATES, Gate
from minilm.verify.policy import built_in_rules
from minilm.verify.reference import PyTorchReference
from minilm.verify.reference.baseline import Baseline
from minilm.verify.reference.corpus import Sample
from minilm.verify.tokenizer import TokenizedCorpus, open_tokenizer

from tests.support.fakes import FakeCandidate, FakeReference
from tests.support.reports import REPORT

LIMIT = 32


@pytest.fixture
def gate() -> Gate[Any]:
    """The gate that the example's line names."""
    text = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text("utf-8")
    section = text.partition("## Adding a gate")[2].partition("\n## ")[0]
    (file,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (name,) = re.findall(r"The line `(\w+),` goes into `VARIANT_GATES`", section)
    module = ModuleType("example")
    exec(compile(file, "categories.py", "exec"), module.__dict__)
    found: Gate[Any] = getattr(module, name)
    return found


def baseline(original: PyTorchReference) -> tuple[FakeCandidate, Baseline]:
    tokenizer = open_tokenizer(original.directory)
    texts = [f"{word} number {n}" for word in ("a question", "an answer") for n in range(40)]
    candidate = FakeCandidate(tokenizer, LIMIT)
    return candidate, Baseline(
        reference=FakeReference(),
        samples=tuple(Sample(text=text, category=text.split()[1]) for text in texts),
        vectors=candidate.encode(texts),
        tokens=TokenizedCorpus(tokenizer, texts, LIMIT),
        strays=(),
        tokenized=len(texts),
    )


@pytest.mark.parametrize("faulty", [False, True])
def test_one_file_and_one_line_make_a_gate(
    gate: Gate[Any],
    original: PyTorchReference,
    monkeypatch: pytest.MonkeyPatch,
    *,
    faulty: bool,
) -> None:
    def change(vectors: npt.NDArray[Any], texts: Sequence[str]) -> npt.NDArray[Any]:
        suffers = np.array([text.startswith("an answer") for text in texts])
        return np.where(suffers[:, None], vectors[:, ::-1], vectors)

    monkeypatch.setattr(registry, "VARIANT_GATES", (*VARIANT_GATES, gate))
    policy = Policy(name="built-in", rules=built_in_rules(registry.VARIANT_GATES))
    candidate, measured_against = baseline(original)
    candidate.files = (Path(__file__),)
    if faulty:
        candidate.change = change
    report = evaluate_candidate(candidate, measured_against, policy.thresholds("cpu/fp32"))
    result = report.gates[-1]
    assert (result.name, result.passed) == ("category-mean", not faulty)
    assert result.threshold == 0.999999
    if faulty:
        assert result.worst == "answer"
    whole = replace(REPORT, variants=(report,), corpus=measured_against.infos())
    for name in get_args(ReportFormat):
        shown = "category-mean" in render_report(whole, name)
        # These two list what failed.
        assert shown or (name in {"sarif", "github"} and not faulty)
