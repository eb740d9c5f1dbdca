"""Figures, on the screen and in RESULTS.md."""

import os
import platform
import statistics
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_FILE = Path(__file__).with_name("RESULTS.md")
_METHOD = """\
# What was measured

Absolute figures say little beyond the machine they come from; the ratios are what Jangbu promises. Both sides of a
ratio run in one process, on one server, in turns; the ratio is taken turn by turn, and its median is quoted with the
least and the greatest.

## Recording

`make bench` prints these and writes this section. The other side is the guide's design (insert the usage, then deduct
it, two transactions) with the same driver and a pool of 16 connections (the driver's defaults, or tuned as Jangbu's own
pool is), or a binary COPY into a table of the same shape with the same primary key. Jangbu's side does all of its work:
price, the answer's own id as idempotency key, insert, debit, ledger entry, three rollups; each caller waits until its
record is durable (`fsync` on, `synchronous_commit` on).
"""


@dataclass(frozen=True, slots=True)
class Measure:
    """One ratio with the two rates it comes from, and the ratio that is to be reached."""

    what: str
    to_reach: float | None
    ours: float
    other: float
    ratios: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median of the turns' ratios."""
        return statistics.median(self.ratios)

    @property
    def target(self) -> str:
        """The ratio that is to be reached, in words."""
        return "for comparison" if self.to_reach is None else f"to reach {self.to_reach:g}"

    @property
    def wanted(self) -> str:
        """The ratio that is to be reached, for a table's cell."""
        return "" if self.to_reach is None else f"{self.to_reach:g}"

    def line(self) -> str:
        """Give the measure as a line of text."""
        return (
            f"{self.what}: {self.ours:,.0f}/s against {self.other:,.0f}/s = {self.ratio:.2f} "
            f"({self.ratios[0]:.2f} to {self.ratios[-1]:.2f}), {self.target}"
        )


def write_results(measures: list[Measure], seconds: float, rounds: int) -> None:
    """Write the section on recording into RESULTS.md, leaving other sections alone."""
    rows = [
        f"| {measure.what} | {measure.ours:,.0f} | {measure.other:,.0f} | **{measure.ratio:.2f}** "
        f"({measure.ratios[0]:.2f} to {measure.ratios[-1]:.2f}) | {measure.wanted} |"
        for measure in measures
    ]
    machine = f"{os.cpu_count()} cores ({platform.machine()}), the database on the same machine"
    section = "\n".join(
        [
            _METHOD,
            f"Measured {datetime.now(UTC):%Y-%m-%d} on {machine}, {rounds} turns of {seconds:g} s:",
            "",
            "| recording | Jangbu, rows/s | other, rows/s | ratio, median (range) | to reach |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )
    others = _FILE.read_text().split("\n## ")[2:] if _FILE.exists() else []
    _FILE.write_text("\n## ".join([section, *others]))
    print(f"written to {_FILE.name}")
