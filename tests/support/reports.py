"""Reports as a verification would return them."""

from dataclasses import replace

from minilm.verify import GateResult, Report, Skipped, TextInfo, VariantReport

GATE = GateResult(
    name="cosine-min",
    passed=True,
    figure=0.99951,
    threshold=0.99,
    comparison=">=",
    meaning="lowest cosine to the original",
    worst="an odd text",
    advice="see the text",
)
REPORT = Report(
    artifact="bundle",
    model="org/model",
    reference="the original",
    policy="built-in",
    gates=(),
    variants=(
        VariantReport(
            name="cpu/int8", gates=(GATE, GATE), cosines=(1.0, 0.5), size_bytes=23_600_000
        ),
    ),
    corpus=tuple(TextInfo(text=text, category="odd", tokens=4) for text in ("a text", "b")),
    skipped=(Skipped(gate="golden", reason="left out"),),
)
FAILED = replace(
    REPORT,
    variants=(replace(REPORT.variants[0], gates=(GATE, replace(GATE, passed=False, figure=0.5))),),
)
