"""The cheap gates: they pass a right bundle, and each kind of wrong one fails."""

from pathlib import Path
from typing import Any

import pytest
from minilm.runtime.manifest import VARIANTS
from minilm.verify import check_bundle, verify_quickly

from tests.support.faults import (
    BundleWithFault,
    Fault,
    case_kept,
    change_json,
    cls_pooling,
    edit,
    no_norm,
    one_layer_off,
    positions_off_by_one,
)


def test_right_bundle_passes(bundle: Path) -> None:
    report = verify_quickly(check_bundle(bundle))
    assert report.failures == ()
    assert [variant.name for variant in report.variants] == list(VARIANTS)
    assert [gate.name for gate in report.gates] == ["integrity", "reference", "facts", "tokenizer"]
    assert {len(variant.cosines) for variant in report.variants} == {len(report.corpus)}
    assert 10 <= len(report.corpus) <= 30
    assert max(text.tokens for text in report.corpus) > 256  # the limit is tried, too


@pytest.mark.parametrize(
    ("fault", "planted", "expected"),
    [
        (edit(one_layer_off), {}, ("cpu/fp32", "cosine-min")),
        (edit(positions_off_by_one), {}, ("cpu/fp32", "cosine-min")),
        (cls_pooling, {}, ("cpu/fp32", "cosine-min")),
        (no_norm, {}, ("cpu/fp32", "unit-length")),
        (change_json("tokenizer.json", case_kept), {}, ("bundle", "tokenizer")),
        (None, {"max_tokens": 128}, ("bundle", "facts")),
        (None, {"weights_sha256": "0" * 64}, ("bundle", "reference")),
    ],
)
def test_wrong_bundle_fails(
    faulty: BundleWithFault,
    fault: Fault | None,
    planted: dict[str, Any],
    expected: tuple[str, str],
) -> None:
    copy = faulty(*([fault] if fault else []), golden=True, **planted)
    report = verify_quickly(check_bundle(copy))
    assert expected in [(place, gate.name) for place, gate in report.failures]
