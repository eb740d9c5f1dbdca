"""How much of each kind a setting may be: more is a slip, which would fail only later, in the middle of a call."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

__all__ = ["Bytes", "Count", "Money", "Span", "Tokens", "Wait"]

Wait = Annotated[int, Field(le=604_800)]
"""Seconds for which somebody waits for something: a week at most."""
Span = Annotated[int, Field(le=31_536_000)]
"""Seconds for which something lasts, is kept, or is left alone: a year at most."""
Count = Annotated[int, Field(le=1_000_000_000)]
Bytes = Annotated[int, Field(le=1_000_000_000_000_000)]
Tokens = Annotated[int, Field(le=1_000_000_000_000_000)]
Money = Annotated[Decimal, Field(le=1_000_000_000, decimal_places=9)]
"""US dollars, to the nano-dollar in which the book counts."""
