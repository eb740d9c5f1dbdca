"""Why the prices changed, in the language of a page: what is noted where nobody gave a reason is in English."""

import re
from collections.abc import Mapping

from jangbu.dashboard.texts import Texts, noted
from jangbu.domain.price_book import Meter

__all__ = ["price_note"]

_OWN = rf"(?P<meter>{'|'.join(Meter)}) of (?P<model>[^ ]+)"
_NOTES: Mapping[str, re.Pattern[str]] = {
    name: re.compile(said)
    for name, said in {
        "shipped": r"the shipped book",
        "book": r"the book of (?P<name>.+)",
        "imported_shipped": r"imported from the shipped book",
        "imported_file": r"imported from a file",
        "imported": r"imported from (?P<name>.+)",
        "api": r"written through the API",
        "markup": r"a mark-up of (?P<percent>[-+0-9.,]+)%",
        "markup_parts": r"a mark-up of (?P<parts>[-0-9,]+) parts per million",
        "no_own": rf"no own price for {_OWN}",
        "own": rf"{_OWN} at (?P<usd>[^ ]+) USD",
        "own_unsaid": _OWN,
    }.items()
}
"""What the dashboard, the API and the command note, each with the name of its text."""


def price_note(texts: Texts, note: str) -> str:
    """Give the text for a note, and the note itself where a person wrote it."""
    if (found := noted(_NOTES, note)) is None:
        return note
    name, values = found
    if meter := values.get("meter"):
        values = {**values, "meter": texts.known("meter", meter)}
    return texts(f"price_note.{name}", **values)
