"""What a report shows of all variants side by side: gates, texts, categories."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from minilm.verify.results import GateResult, Report, Skipped, TextInfo, VariantReport

__all__ = [
    "CategoryRow",
    "MatrixRow",
    "TextRow",
    "anchor",
    "categories",
    "cosine_share",
    "gate_matrix",
    "lowest_allowed",
    "variants_failed_first",
    "worst_texts",
]

_WORST_EACH: Final = 4
_WORST_TEXTS: Final = 15


@dataclass(frozen=True, kw_only=True)
class MatrixRow:
    """One gate over all variants.

    Attributes:
        gate: Name of the gate.
        cells: One per variant: its result, why it was skipped, or None where it does not apply.
    """

    gate: str
    cells: tuple[GateResult | Skipped | None, ...]

    @property
    def passed(self) -> bool:
        """Whether no variant failed the gate."""
        return all(not isinstance(cell, GateResult) or cell.passed for cell in self.cells)


@dataclass(frozen=True, kw_only=True)
class TextRow:
    """One text, and its cosine to the original by each variant."""

    info: TextInfo
    cosines: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class CategoryRow:
    """The texts of one category, and the lowest cosine among them by each variant."""

    category: str
    texts: int
    cosines: tuple[float, ...]


def variants_failed_first(report: Report) -> tuple[VariantReport, ...]:
    """The variants, those that failed first, otherwise in the report's order."""
    return tuple(sorted(report.variants, key=lambda variant: variant.passed))


def gate_matrix(report: Report) -> list[MatrixRow]:
    """Gates over `variants_failed_first`, those that failed first, then in the report's order."""
    variants = variants_failed_first(report)
    found = [
        {gate.name: gate for gate in each.gates} | {item.gate: item for item in each.skipped}
        for each in variants
    ]
    names = dict.fromkeys(
        [gate.name for each in variants for gate in each.gates]
        + [item.gate for each in variants for item in each.skipped]
    )
    rows = [MatrixRow(gate=name, cells=tuple(each.get(name) for each in found)) for name in names]
    return sorted(rows, key=lambda row: row.passed)


def worst_texts(report: Report) -> list[TextRow]:
    """The texts that come nearest to a gate or miss it, the worst first; each stands once."""
    variants = [each for each in variants_failed_first(report) if each.cosines]
    chosen = {
        place
        for each in variants
        for place in sorted(range(len(each.cosines)), key=each.cosines.__getitem__)[:_WORST_EACH]
    }
    rows = [
        TextRow(info=report.corpus[i], cosines=tuple(each.cosines[i] for each in variants))
        for i in sorted(chosen)
    ]
    return sorted(rows, key=lambda row: -_worst_share(variants, row.cosines))[:_WORST_TEXTS]


def categories(report: Report) -> list[CategoryRow]:
    """The corpus's categories, the worst first; texts of a given length are one category."""
    variants = [each for each in variants_failed_first(report) if each.cosines]
    places: dict[str, list[int]] = defaultdict(list)
    for place, info in enumerate(report.corpus):
        places[re.sub(r"^length-\d+$", "length", info.category)].append(place)
    rows = [
        CategoryRow(
            category=name,
            texts=len(held),
            cosines=tuple(min(each.cosines[i] for i in held) for each in variants),
        )
        for name, held in places.items()
    ]
    return sorted(rows, key=lambda row: -_worst_share(variants, row.cosines))


def lowest_allowed(variant: VariantReport) -> float | None:
    """Threshold of the gate for the lowest cosine; None if it was skipped."""
    return next((gate.threshold for gate in variant.gates if gate.name == "cosine-min"), None)


def cosine_share(variant: VariantReport, cosine: float) -> float | None:
    """Distance to the original as a share of what the gate for the lowest cosine allows."""
    limit = lowest_allowed(variant)
    return None if limit is None or limit >= 1 else max(0.0, 1 - cosine) / (1 - limit)


def anchor(report: Report, place: str, gate: str) -> str:
    """Identifier of a gate's result in the page: "cpu-int8-cosine-min", the same in each report."""
    places = [name for name, _ in report.places()]
    slugs = list(_slugs(places))
    return f"{slugs[places.index(place)]}-{gate}"


def _slugs(names: list[str]) -> Iterator[str]:
    """One identifier a name; names that differ in signs only get a number."""
    seen: set[str] = set()
    for name in names:
        slug = plain = re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-") or "variant"
        number = 1
        while slug in seen:
            number += 1
            slug = f"{plain}-{number}"
        seen.add(slug)
        yield slug


def _worst_share(variants: list[VariantReport], cosines: tuple[float, ...]) -> float:
    """The largest share over the variants; a plain distance where there is no gate."""
    shares = []
    for variant, cosine in zip(variants, cosines, strict=True):
        share = cosine_share(variant, cosine)
        shares.append(1 - cosine if share is None else share)
    return max((share for share in shares if not math.isnan(share)), default=0.0)
