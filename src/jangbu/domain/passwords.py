"""Passwords: how one is kept in one spelling, and which ones are too easily guessed.

There is no list of common passwords: it would be long, and dated. What makes them common is counted instead: a known
word, a part of the member's own name, a run (``abcd``, ``4321``, ``qwer``) and a repetition each add no more than a
single character does.
"""

import re
import unicodedata
from enum import StrEnum
from itertools import pairwise

__all__ = ["BYTES_MAX", "LENGTH_LEAST", "Weakness", "spelled", "weakness"]

LENGTH_LEAST = 12
BYTES_MAX = 1_024
_WORTH_LEAST = 8
_PART_LENGTH_LEAST = 3
_LOOKED_AT = 128
"""How many characters of a password are weighed; what is good so far needs no more."""
_WORDS = (
    *("password", "passwort", "passphrase", "passcode", "secret", "letmein", "welcome", "administrator", "admin"),
    *("iloveyou", "monkey", "dragon", "football", "baseball", "sunshine", "princess", "changeme", "default", "login"),
    *("jangbu", "gemini", "google", "dashboard", "비밀번호", "장부", "사랑해", "관리자"),
)
_WRITTEN = {"a": "[a4@]", "e": "[e3]", "i": "[i1!]", "o": "[o0]", "s": "[s5$]", "t": "[t7]"}
"""How else people write a letter, in the belief that nobody else does."""
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890", "ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔ", "ㅁㄴㅇㄹㅎㅗㅓㅏㅣ")
_NEIGHBOURS = frozenset(pair for row in _ROWS for pair in (*pairwise(row), *pairwise(row[::-1])))
_REPEATED = re.compile(r"(.+?)\1+", re.DOTALL)
_WORD = "\0"


class Weakness(StrEnum):
    """Why a password is refused."""

    UNREADABLE = "unreadable"
    """It holds a character that no keyboard sends: a control character, or half of one."""
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    COMMON = "common"


def spelled(password: str) -> str:
    """Give a password in the one spelling that is kept: the same letters come in two from different machines."""
    return unicodedata.normalize("NFC", password)


def weakness(password: str, name: str) -> Weakness | None:
    """Tell why a member may not choose a password, or None for one that is good enough."""
    text = spelled(password)
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return Weakness.UNREADABLE
    if size > BYTES_MAX:
        return Weakness.TOO_LONG
    if not all(character == " " or character.isprintable() for character in text):
        return Weakness.UNREADABLE
    if len(text) < LENGTH_LEAST:
        return Weakness.TOO_SHORT
    return Weakness.COMMON if _worth(text.casefold(), name.casefold()) < _WORTH_LEAST else None


def _worth(text: str, name: str) -> int:
    """Count the characters of a password that are not to be guessed from those before them."""
    text = text[:_LOOKED_AT]
    for word in sorted({*_WORDS, *_parts(name)}, key=len, reverse=True):
        text = re.sub("".join(_WRITTEN.get(letter) or re.escape(letter) for letter in word), _WORD, text)
    text = _REPEATED.sub(r"\1", text)
    return 1 + sum(not _follows(before, after) for before, after in pairwise(text))


def _parts(name: str) -> list[str]:
    """Give the parts of a name that somebody who knows it would try: kim.minsu@shop.example has four."""
    return [part for part in re.split(r"\W+", name) if len(part) >= _PART_LENGTH_LEAST]


def _follows(before: str, after: str) -> bool:
    """Tell whether a character goes on with a run: the same again, the next or the last one, or the next key."""
    return abs(ord(before) - ord(after)) <= 1 or (before, after) in _NEIGHBOURS
