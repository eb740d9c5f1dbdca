"""The path of a request, taken apart. What is odd in any way is not taken apart at all: nobody needs it.

The bytes are read as they came over the wire, so that nothing can mean one thing here and another further on.
"""

import re
from functools import lru_cache

__all__ = ["BYTES_MOST", "SEGMENTS_MOST", "segments"]

BYTES_MOST = 2_048
SEGMENTS_MOST = 16

# Clients percent-encode nothing but the colon before a verb, and the dollar sign; any other encoding hides something.
_PLAIN = re.compile(rb"/(?:[A-Za-z0-9._~:$/-]++|%3[Aa]|%24)*+")
_ENCODED = {b"%3A": b":", b"%3a": b":", b"%24": b"$"}
_DOTS = (".", "..")


@lru_cache(maxsize=1_024)
def segments(raw_path: bytes, prefix: str = "") -> tuple[str, ...] | None:
    """Split a path as it came over the wire, without its query; doubled slashes count as one.

    ``prefix`` is what a deployment puts before Gemini's own paths; it may be there and need not. Gives None for a path
    that no client writes: encoded slashes and dots, dot segments, a backslash, ``;``, control or non-ASCII bytes, more
    than BYTES_MOST bytes or SEGMENTS_MOST segments.
    """
    if len(raw_path) > BYTES_MOST or _PLAIN.fullmatch(raw_path) is None:
        return None
    if b"%" in raw_path:
        for encoded, plain in _ENCODED.items():
            raw_path = raw_path.replace(encoded, plain)
    found = tuple(segment for segment in raw_path.decode("ascii").split("/") if segment)
    if len(found) > SEGMENTS_MOST or any(dots in found for dots in _DOTS):
        return None
    before = _split(prefix)
    return found[len(before) :] if found[: len(before)] == before else found


@lru_cache(maxsize=8)
def _split(prefix: str) -> tuple[str, ...]:
    return tuple(segment for segment in prefix.split("/") if segment)
