"""What a run finds, and the statistics that the tables show."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.peers.registry import PeerConfig

__all__ = ["Parity", "Results", "Row"]


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Cosine to the original over the texts that a row was measured on."""

    mean: float
    minimum: float


@dataclass(kw_only=True)
class Row:
    """All that is measured of one peer; a list has a value for each round.

    Attributes:
        entry: the peer.
        failed: why there are no figures; empty if there are.
        about: what it chose, where its options do not say.
        short_rates: short texts a second.
        long_rates: long texts a second.
        short_texts: how many were embedded in a round.
        long_texts: how many were embedded in a round.
        single_seconds: one short text, every call of every round.
        start_seconds: a whole process that gives one vector.
        loaded_bytes: resident memory after load and one text.
        final_bytes: resident memory after all rounds.
        idle_share: share of a core that it uses when it has nothing to do.
        size_bytes: installed, with all it requires.
        short_parity: on short texts.
        long_parity: on long texts.
    """

    entry: PeerConfig
    failed: str = ""
    about: str = ""
    short_rates: list[float] = field(default_factory=list)
    long_rates: list[float] = field(default_factory=list)
    short_texts: int = 0
    long_texts: int = 0
    single_seconds: list[float] = field(default_factory=list)
    start_seconds: list[float] = field(default_factory=list)
    loaded_bytes: int | None = None
    final_bytes: int | None = None
    idle_share: float | None = None
    size_bytes: int | None = None
    short_parity: Parity | None = None
    long_parity: Parity | None = None


@dataclass(kw_only=True)
class Results:
    """A run.

    Attributes:
        machine: facts about it, for the heading.
        texts: what was embedded, one sentence.
        rows: peers in the catalogue's order.
        choice: name of the row that `load(path)` takes here, and why.
        starts: further whole processes, name to seconds of each round.
        steps: of a start of native/int8, name to seconds of each round.
        stream_bytes: resident memory of native/int8 after each block of texts of a stream.
        stream_step: texts of such a block.
        ceiling: kind of product ("int8") to operations a second of a large one.
        operations: of a short and of a long text.
        seconds: that the run took.
        notes: what else a reader has to know.
    """

    machine: Mapping[str, str]
    texts: str
    rows: list[Row]
    choice: tuple[str, str] = ("", "")
    starts: dict[str, list[float]] = field(default_factory=dict)
    steps: dict[str, list[float]] = field(default_factory=dict)
    stream_bytes: list[int] = field(default_factory=list)
    stream_step: int = 0
    ceiling: dict[str, float] = field(default_factory=dict)
    operations: tuple[float, float] = (0.0, 0.0)
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def row(self, name: str) -> Row | None:
        """The row called `name`, if it has figures."""
        return next((r for r in self.measured() if r.entry.name == name), None)

    def measured(self) -> list[Row]:
        """The rows that have figures."""
        return [row for row in self.rows if not row.failed]

    def to_data(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return asdict(self)
