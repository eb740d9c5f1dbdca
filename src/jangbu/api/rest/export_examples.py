"""What exports look like, for the API's document: one row of each in each format, as the writers write it."""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from jangbu.metering.exports import MEDIA_TYPES, Format

__all__ = ["CALLS", "ENTRIES", "USAGE"]

_MOMENTS = frozenset({"created_at", "start", "end"})
_PARQUET = "PAR1"
"""With what a Parquet file begins and ends: the rest is no text."""


def _examples(row: Mapping[str, Any]) -> Mapping[str, str]:
    """Give an example by media type. A CSV names the zone with the times, and puts several words into one cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(f"{name} (UTC)" if name in _MOMENTS else name for name in row)
    writer.writerow(" ".join(value) if isinstance(value, list) else value for value in row.values())
    return {
        MEDIA_TYPES[Format.CSV]: text.getvalue(),
        MEDIA_TYPES[Format.JSON_LINES]: json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n",
        MEDIA_TYPES[Format.PARQUET]: _PARQUET,
    }


_TOKENS = {
    "prompt_tokens": 150,
    "completion_tokens": 300,
    "cached_tokens": 0,
    "thinking_tokens": 0,
    "total_tokens": 450,
}
_MONEY = {"cost_nano": 795_000, "input_cost_nano": 45_000, "charge_nano": 795_000}

CALLS = _examples(
    {
        "user": "kim",
        "id": "0192f3a0-0000-7000-8000-000000000001",
        "created_at": "2026-01-31T09:00:00.000000+00:00",
        "service": "text_generation",
        "model": "gemini-2.5-flash",
        "surface": "generate_content",
        "tier": "standard",
        "source": "reported",
        **_TOKENS,
        **_MONEY,
        "price_version": 1,
        "response_id": "answer-1",
        "anomalies": [],
        "metadata": '{"tags": {"feature": "chat"}}',
        "status": "recorded",
    }
)
ENTRIES = _examples(
    {
        "user": "kim",
        "asset": "tokens",
        "seq": 1,
        "created_at": "2026-01-31T09:00:00.000000+00:00",
        "kind": "grant",
        "delta": 1_000_000,
        "balance_after": 1_000_000,
        "posting": 1,
        "reference": None,
        "reason": None,
        "key": "order-1",
    }
)
USAGE = _examples(
    {
        "user": None,
        "start": "2026-01-31T00:00:00.000000+00:00",
        "end": "2026-02-01T00:00:00.000000+00:00",
        "service": "text_generation",
        "calls": 1,
        **_TOKENS,
        **_MONEY,
        "unpriced": 0,
    }
)
