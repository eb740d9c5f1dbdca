"""What Jangbu itself notes where people give a reason, in the language of a page: the book has it in English."""

from collections.abc import Mapping

from jangbu.dashboard.texts import Texts

__all__ = ["own_words"]

_NAMES: Mapping[str, str] = {
    "priced after it was recorded": "priced_later",
    "the user was erased": "erased",
}
"""What is noted, each with the name of its text."""


def own_words(texts: Texts, said: str) -> str:
    """Give the text for what Jangbu noted; what a person wrote stays as it is."""
    name = _NAMES.get(said)
    return said if name is None else texts(f"noted.{name}")
