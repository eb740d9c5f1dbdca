"""Small charts of some days, one line of a table each, drawn on the server."""

from dataclasses import dataclass
from datetime import timedelta

from jangbu.dashboard.look import Look
from jangbu.metering.directory import Spark

__all__ = ["HEIGHT", "PITCH", "DrawnSpark", "drawn"]

PITCH, HEIGHT = 3, 20


@dataclass(frozen=True, slots=True)
class DrawnSpark:
    """A path that has a stroke upwards for each day on which anything was used, and what it shows in words."""

    path: str
    width: int
    words: str


def drawn(look: Look, spark: Spark) -> DrawnSpark:
    """Draw the days, the highest as high as there is room."""
    most = max(spark.tokens)
    strokes = (
        f"M{place * PITCH + 1} {HEIGHT}v-{max(1, (tokens * HEIGHT + most // 2) // most)}"
        for place, tokens in enumerate(spark.tokens)
        if tokens
    )
    return DrawnSpark("".join(strokes), len(spark.tokens) * PITCH, _words(look, spark))


def _words(look: Look, spark: Spark) -> str:
    most = max(spark.tokens)
    last = spark.first + timedelta(days=len(spark.tokens) - 1)
    written = {"from_": look.formats.day(spark.first), "to": look.formats.day(last)}
    if not most:
        return look.texts("users.spark.nothing", **written)
    total = sum(spark.tokens)
    return look.texts(
        "users.spark.summary",
        count=total,
        total=look.formats.number(total),
        most=look.formats.number(most),
        most_at=look.formats.day(spark.first + timedelta(days=spark.tokens.index(most))),
        **written,
    )
