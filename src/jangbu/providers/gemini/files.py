"""Files, as Google shows them."""

from collections.abc import Mapping
from typing import Any

__all__ = ["file_bytes"]

_DIGITS_MOST = 15


def file_bytes(file: Mapping[str, Any], otherwise: int) -> int:
    """Give how many bytes a file has; what is known otherwise where Google does not say."""
    said = str(file.get("sizeBytes", ""))
    return int(said) if said.isdecimal() and len(said) <= _DIGITS_MOST else otherwise
