"""What the pages say, in each language: whole sentences from a catalogue, never put together from pieces."""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from babel import Locale

__all__ = ["LANGUAGES", "Language", "Texts", "best_language", "noted", "texts_of"]

Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, ...] = ("en", "ko")
_CATALOGUES = Path(__file__).parent / "catalogues"


class Texts:
    """The texts of one language. A text that counts something has a form for each plural of the language."""

    def __init__(self, language: Language, catalogue: Mapping[str, Any]) -> None:
        self.language = language
        self.catalogue = catalogue
        self._plural_of = Locale.parse(language).plural_form

    def __call__(self, key: str, /, **values: Any) -> str:
        """Give a text with values in its places. ``count`` chooses the plural, and is shown by another of them."""
        text = self.catalogue[key]
        if not isinstance(text, str):
            text = text[self._plural_of(values["count"])]
        return str(text).format(**values)

    def has(self, key: str) -> bool:
        """Tell whether there is such a text."""
        return key in self.catalogue

    def known(self, group: str, name: str) -> str:
        """Give the text for a name that the ledger knows, and the name itself where there is none for it."""
        key = f"{group}.{name}"
        return self(key) if self.has(key) else name


@cache
def texts_of(language: Language) -> Texts:
    """Read the catalogue of a language, once."""
    return Texts(language, json.loads((_CATALOGUES / f"{language}.json").read_text(encoding="utf-8")))


def noted(patterns: Mapping[str, re.Pattern[str]], said: str) -> tuple[str, Mapping[str, str]] | None:
    """Tell what was noted in English, by the name of its pattern, with the values in it; None where no pattern fits."""
    for name, pattern in patterns.items():
        if (found := pattern.fullmatch(said)) is not None:
            return name, found.groupdict()
    return None


def best_language(*wishes: str | None, accepted: str = "") -> Language:
    """Give the first language that is wished for and there, then what a browser accepts most, then English."""
    for wish in (*wishes, *_accepted(accepted)):
        for language in LANGUAGES:
            if wish == language:
                return language
    return LANGUAGES[0]


def _accepted(header: str) -> Iterable[str]:
    weighed = []
    for place, part in enumerate(header.split(",")):
        name, _, rest = part.strip().partition(";")
        weight = rest.strip().removeprefix("q=")
        weighed.append((-_weight(weight), place, name.partition("-")[0].lower()))
    return (name for weight, _, name in sorted(weighed) if weight < 0)


def _weight(text: str) -> int:
    """Read a weight between 0 and 1 in thousandths; none is 1, and one that cannot be read is 0."""
    if not text:
        return 1000
    whole, _, part = text.partition(".")
    if not (whole in {"0", "1"} and (part.isdecimal() or not part) and len(part) <= 3):
        return 0
    return min(1000, int(whole) * 1000 + int(part.ljust(3, "0") or 0))
