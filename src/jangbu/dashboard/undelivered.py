"""Why an alert or an event did not arrive, in the language of a page: what was noted is in English."""

import re
from collections.abc import Mapping

from jangbu.dashboard.texts import Texts, noted

__all__ = ["undelivered"]

_REASONS: Mapping[str, re.Pattern[str]] = {
    name: re.compile(said)
    for name, said in {
        "slow": r"the (?:receiver|service) did not answer within (?P<seconds>[0-9]+) s",
        "insecure": r"no secure connection: (?P<cause>.+)",
        "unnamed": r"the receiver cannot be reached: its name is not known",
        "nobody": r"the receiver cannot be reached: nobody listens there",
        "reset": r"the receiver cannot be reached: the connection was reset",
        "unrouted": r"the receiver cannot be reached: the network does not lead there",
        "no_http": r"the receiver does not speak HTTP",
        "redirect": r"the receiver answered (?P<status>[0-9]+); redirects are not followed",
        "status": r"the receiver answered (?P<status>[0-9]+)",
        "private": r"the receiver's name leads to an address that is not public(?:; .+)?",
        "large_head": r"the receiver's answer has too large a head",
        "closed": r"the receiver closed the connection without an answer",
        "refused": r"the service did not take it(?:; .+)?",
        "failed": r"(?:it failed:|failed:|the service failed with) (?P<kind>\w+)",
    }.items()
}
"""What senders say, each with the name of its text; what a hint adds to it is in the text."""


def undelivered(texts: Texts, reason: str) -> str | None:
    """Give the text for a reason, None for one that no sender of now gives."""
    if (found := noted(_REASONS, reason)) is None:
        return None
    name, values = found
    return texts(f"undelivered.{name}", **values)
