"""Figures, on the screen and in RESULTS.md."""

import os
import platform
import statistics
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_FILE = Path(__file__).with_name("RESULTS.md")
_INTRODUCTION = """\
# What was measured

Absolute figures say little beyond the machine they come from; the ratios are what Jangbu promises. Both sides of a
ratio run in one process, on one server, in turns; the ratio is taken turn by turn, and its median is quoted with the
least and the greatest.
"""
_RECORDING = """\
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
        [
            measure.what,
            f"{measure.ours:,.0f}",
            f"{measure.other:,.0f}",
            f"**{measure.ratio:.2f}** ({measure.ratios[0]:.2f} to {measure.ratios[-1]:.2f})",
            measure.wanted,
        ]
        for measure in measures
    ]
    heads = ["recording", "Jangbu, rows/s", "other, rows/s", "ratio, median (range)", "to reach"]
    about = f"Measured {measured_on()}, {rounds} turns of {seconds:g} s:"
    write_section("Recording", "\n".join([_RECORDING, about, "", table(heads, rows), ""]))


def measured_on() -> str:
    """Say when and on what machine a measurement took place, and by which Python."""
    machine = f"{os.cpu_count()} cores ({platform.machine()})"
    python = f"Python {platform.python_version()}"
    return f"{datetime.now(UTC):%Y-%m-%d} on {machine}, {python}, the database on the same machine"


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Give a table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    ruled = [f"| {' | '.join(line)} |" for line in lines]
    ruled[1] = ruled[1].replace(" ", "")
    return "\n".join(ruled)


def write_section(title: str, text: str) -> None:
    """Write one section of RESULTS.md, leaving the others as they are."""
    parts = _FILE.read_text().split("\n## ")[1:] if _FILE.exists() else []
    sections = {part.split("\n", 1)[0]: part.split("\n", 1)[1].strip() for part in parts}
    sections[title] = text.strip()
    written = [_INTRODUCTION.strip(), *(f"## {name}\n\n{section}" for name, section in sections.items())]
    _FILE.write_text("\n\n".join(written) + "\n")
    print(f"written to {_FILE.name}")
