"""The message of a build whose gates failed."""

from dataclasses import replace
from pathlib import Path

import pytest
from minilm.pipeline.verdict import describe_failure
from minilm.verify import GateResult, Report, VariantReport

OUTPUT = Path("artifacts/model")
PASSED = GateResult(
    name="cosine-min", passed=True, figure=1, threshold=0.99, comparison=">=", meaning=""
)
FAILED = replace(PASSED, passed=False, figure=0.989859, worst="rare [PAD]")
MEAN = replace(FAILED, name="cosine-mean", figure=0.99767, threshold=0.998, worst="")
FACTS = GateResult(
    name="facts",
    passed=False,
    figure=1,
    threshold=0,
    comparison="==",
    meaning="",
    detail="max_tokens: 128 in the manifest, 256 of the original",
    worst="max_tokens",
    advice="build again from the original",
)


def variant(name: str, *gates: GateResult) -> VariantReport:
    return VariantReport(name=name, gates=gates, cosines=(1.0,), size_bytes=1)


def report(*variants: VariantReport, gates: tuple[GateResult, ...] = ()) -> Report:
    return Report(
        artifact="model",
        model="team/model",
        reference="PyTorch",
        policy="built-in",
        gates=gates,
        variants=variants,
        corpus=(),
        environment={"processor": "AMD EPYC 7B13", "instruction sets": "avx2 fma"},
    )


def test_one_of_six_variants() -> None:
    names = ("cpu/fp32", "cpu/int8", "openvino/bf16", "cuda/fp16", "cuda/int8")
    found = report(
        *(variant(name, PASSED) for name in names), variant("openvino/int8", MEAN, FAILED)
    )
    assert describe_failure(found, OUTPUT) == (
        "verification failed for 1 of 6 variants; artifacts/model was not written. "
        "openvino/int8: cosine-mean is 0.99767, must be >= 0.998; "
        "cosine-min is 0.989859, must be >= 0.99 (worst: 'rare [PAD]'). "
        "The 5 other variants passed. Processor: AMD EPYC 7B13 (avx2 fma). "
        "To keep what passed: --variants cpu/fp32,cpu/int8,openvino/bf16,cuda/fp16,cuda/int8"
    )


def test_one_of_two_variants() -> None:
    message = describe_failure(report(variant("a/b", PASSED), variant("c/d", FAILED)), OUTPUT)
    assert "for 1 of 2 variants" in message
    assert "The other variant passed. " in message
    assert message.endswith("To keep what passed: --variants a/b")


def test_all_variants() -> None:
    message = describe_failure(report(variant("a/b", FAILED), variant("c/d", MEAN)), OUTPUT)
    assert "for 2 of 2 variants" in message
    assert "a/b: cosine-min" in message
    assert "c/d: cosine-mean" in message
    assert "passed" not in message
    assert "--variants" not in message


def test_bundle_as_a_whole() -> None:
    message = describe_failure(report(variant("a/b", PASSED), gates=(FACTS,)), OUTPUT)
    assert message == (
        "verification failed for the bundle as a whole; artifacts/model was not written. "
        "Bundle: facts is 1, must be == 0 (worst: 'max_tokens'; max_tokens: 128 in the manifest, "
        "256 of the original). Advice: build again from the original. "
        "Processor: AMD EPYC 7B13 (avx2 fma)"
    )


def test_bundle_and_a_variant() -> None:
    found = report(variant("a/b", PASSED), variant("c/d", FAILED), gates=(FACTS,))
    message = describe_failure(found, OUTPUT)
    assert "failed for the bundle as a whole and for 1 of 2 variants" in message
    assert "--variants" not in message  # fewer variants would not mend the bundle


@pytest.mark.parametrize(
    ("environment", "shown"),
    [({}, "unknown"), ({"processor": "POWER9", "instruction sets": ""}, "POWER9")],
)
def test_unknown_processor(environment: dict[str, str], shown: str) -> None:
    found = replace(report(variant("a/b", FAILED)), environment=environment)
    assert describe_failure(found, OUTPUT).endswith(f"Processor: {shown}")
