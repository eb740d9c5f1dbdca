"""That tokens expire soon, in words: on a user's page, and in the user's own view."""

from jangbu.dashboard.formats import Formats
from jangbu.dashboard.texts import Texts
from jangbu.domain.forecast import Expiring

__all__ = ["expiring_words"]


def expiring_words(found: Expiring | None, t: Texts, f: Formats) -> str:
    """Say how many tokens expire, and when; nothing where none do."""
    if found is None:
        return ""
    tokens, first, last = f.number(found.tokens), f.minute(found.first_at), f.minute(found.last_at)
    if first == last:
        return t("expiring.at", count=found.tokens, tokens=tokens, at=first)
    return t("expiring.by", tokens=tokens, first=first, last=last)
