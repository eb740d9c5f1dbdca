"""What the gateway benchmark found: tables, and the ratios that are to be reached, on the screen and in RESULTS.md."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks import gateway_figures as figures
from benchmarks.gateway_figures import Figures, spread
from benchmarks.gateway_method import METHOD
from benchmarks.gateway_turn import CALLERS, IMAGE_CALLERS, Extent, Turn
from benchmarks.results import measured_on, table, write_section

_ADDRESS = re.compile(r"\w+://\S+|/[\w.-]+(?:/[\w.-]+)+")
_REASON_LENGTH = 240


@dataclass(slots=True)
class Report:
    """The turns of a run, by target and round, and what could not be measured."""

    extent: Extent
    rounds: int
    busy: float
    turns: dict[str, dict[int, Turn]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, number: int, turn: Turn) -> None:
        """Keep what a turn of this round measured."""
        self.turns.setdefault(turn.target.title, {})[number] = turn

    def fail(self, title: str, reason: str) -> None:
        """Keep why a target, or a turn of it, was not measured, without the addresses and paths of this machine."""
        self.failures[title] = _ADDRESS.sub("…", " ".join(reason.split()))[:_REASON_LENGTH]

    def text(self) -> str:
        """Give the section of RESULTS.md."""
        measured = f"{self.rounds} round{'s' if self.rounds > 1 else ''} of {self.extent.seconds:g} s a level"
        about = f"Measured {measured_on()}, {measured}; before it began, {self.busy:.0%} of the CPU time was in use."
        return "\n\n".join([METHOD.rstrip(), about, *self._tables(), *self._notes()]) + "\n"

    def write(self) -> None:
        """Write the section into RESULTS.md."""
        write_section("Gateway", self.text())

    def _tables(self) -> list[str]:
        levels = [f"{callers} caller{'s' if callers > 1 else ''}" for callers in CALLERS]
        streams = [f"{callers} stream{'s' if callers > 1 else ''}" for callers in CALLERS]
        at_most = max(CALLERS)
        goals = [goal.row() for goal in figures.goals(self.turns)]
        return [
            table(["what", "median (range)", "to reach", "reached"], goals),
            self._table("calls/s", levels, [figures.rate(callers) for callers in CALLERS], 0),
            self._table("added ms, p50 / p99", levels, [figures.added(callers) for callers in CALLERS], 2),
            self._table("CPU ms a call, own / database", levels, [figures.cpu(callers) for callers in CALLERS], 3),
            self._table("added ms to the first byte, p50 / p99", streams, [figures.first(at) for at in CALLERS], 1),
            self._table(
                f"streams, {at_most} at once", ["CPU ms each, own / database"], [figures.stream_cpu(at_most)], 2
            ),
            self._table(
                "memory in MB, RSS / PSS", ["after plain calls", f"peak, {IMAGE_CALLERS} images of 2 MB at once"],
                [figures.plain_memory, figures.image_memory], 0,
            ),
            self._table(f"images, {IMAGE_CALLERS} at once", ["CPU ms each, own / database"], [figures.image_cpu], 2),
            table(["bytes", "streams whole", "images whole"], [self._whole(title) for title in self.turns]),
        ]  # fmt: skip

    def _table(self, what: str, heads: list[str], cells: Sequence[Figures], digits: int) -> str:
        rows = [[title, *(self._cell(turns, cell, digits) for cell in cells)] for title, turns in self.turns.items()]
        missing = [[title, *["not measured"] * len(heads)] for title in self.failures if title not in self.turns]
        return table([what, *heads], [*rows, *missing])

    def _cell(self, turns: dict[int, Turn], cell: Figures, digits: int) -> str:
        """Give the medians of a cell's figures, each with its range where there were several rounds."""
        direct = self.turns.get(figures.DIRECT, {})
        found = [cell(turn, direct[number]) for number, turn in turns.items() if number in direct]
        return " / ".join(spread(values, digits) for values in zip(*found, strict=True)) or "not measured"

    def _whole(self, title: str) -> list[str]:
        turns = self.turns[title].values()
        if any(turn.target.is_translated for turn in turns):
            return [title, "translated", "translated"]
        streams = [level.streams for turn in turns for level in turn.levels.values()]
        images = [turn.images for turn in turns]
        return [
            title,
            *(f"{sum(r.whole for r in seen):,} of {sum(r.asked for r in seen):,}" for seen in (streams, images)),
        ]

    def _notes(self) -> list[str]:
        notes = [f"- {title} was not measured, or not in every round: {why}" for title, why in self.failures.items()]
        for title, turns in self.turns.items():
            if failed := sum(turn.failed for turn in turns.values()):
                notes.append(f"- {title}: {failed:,} calls failed; they count for nothing above.")
            if settled := [turn.settled for turn in turns.values() if turn.settled is not None]:
                reported, debited = (sum(side) for side in zip(*settled, strict=True))
                notes.append(f"- {title}: the upstream reported {reported:,} tokens, the ledger debited {debited:,}.")
        return ["\n".join(notes)] if notes else []
