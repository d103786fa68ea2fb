"""A report made by hand: one variant, which fails a gate, with every kind of text in it."""

from minilm.verify import Report, Skipped, TextInfo, VariantReport
from minilm.verify.gates import GATES, Measurement
from minilm.verify.gates.base import result_of
from minilm.verify.results import SWITCHED_OFF, shorten

__all__ = ["NASTY", "make"]

NASTY = "<script>alert('x')</script> | `a` \u0000 \u202e @all ]]> & \"quoted\""


def make(*, figure: float = 0.98, worst: str = NASTY, limit: float = 0.99) -> Report:
    gates = (
        result_of(GATES["finite"], Measurement(figure=0), 0),
        result_of(
            GATES["cosine-min"],
            Measurement(figure=figure, worst=shorten(worst), detail="seen"),
            limit,
        ),
    )
    corpus = tuple(
        TextInfo(text=shorten(text), category="word", tokens=n)
        for n, text in enumerate(["", "a tree", worst, "שלום"], start=2)
    )
    variant = VariantReport(
        name="cpu/int8",
        gates=gates,
        cosines=(1.0, 0.999, max(-1.0, figure), 0.9999),
        size_bytes=23_500_000,
        operators={"MatMul": 12, "com.microsoft.Gelu": 6},
        runs_on="on <this> machine",
        skipped=(Skipped(gate="top10", reason=SWITCHED_OFF),),
        seconds=1.25,
    )
    return Report(
        artifact="all-MiniLM-L6-v2",
        model="sentence-transformers/all-MiniLM-L6-v2",
        reference="PyTorch",
        policy="built-in",
        gates=(result_of(GATES["integrity"], Measurement(figure=0), 0),),
        variants=(variant,),
        corpus=corpus,
        skipped=(Skipped(gate="golden", reason="left out"),),
        environment={"date": "2026-11-27", "system": "Linux", "processor": "A & B"},
        seconds=2.5,
        command="toolkit verify it",
    )
