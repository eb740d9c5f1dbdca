"""Dated price data and its loaders: what Jangbu ships, what an operator wrote, what genai-prices knows."""

from jangbu.prices.changes import Change, ChangeKind, append, diff
from jangbu.prices.files import GOOGLE, GUIDE, OVERLAY, load, parsed, read, shipped

__all__ = ["GOOGLE", "GUIDE", "OVERLAY", "Change", "ChangeKind", "append", "diff", "load", "parsed", "read", "shipped"]
