"""Why a call ended without a deduction, in the language of a page: what is noted with its hold is in English."""

import re
from collections.abc import Mapping

from jangbu.dashboard.texts import Texts, noted

__all__ = ["hold_reason"]

_REASONS: Mapping[str, re.Pattern[str]] = {
    name: re.compile(said)
    for name, said in {
        "error_in_stream": r"the provider answered an error in the stream",
        "status": r"(?:the provider answered|Gemini answered with the status) (?P<status>.+)",
        "broke_off": r"the (?:answer|stream) broke off before anything was reported",
        "broken_off": r"the answer broke off: (?P<cause>.+)",
        "left": r"the stream was left before anything was reported",
        "unreadable": r"the answer cannot be read(?:: .+)?",
        "uncounted": r"the answer reports nothing, and its input could not be counted",
        "unattended": r"the client left, and the answer was waited for no longer",
        "unnamed": r"the provider did not say what it started",
        "unowned": r"whose work it is could not be written down",
        "too_long": r"the answer took too long",
        "too_large": r"the answer is larger than (?P<bytes>[0-9,]+) bytes",
        "stopped": r"the gateway stops",
        "interrupted": r"the gateway broke it off: (?P<cause>.+)",
        "unanswered": r"(?:Gemini did not answer|sent, and no answer came): (?P<cause>.+)",
        "unreachable": r"Gemini cannot be reached: (?P<cause>.+)",
        "key_refused": r"Gemini refuses upstream key (?P<number>[0-9]+): (?P<cause>.+)",
        "credentials_refused": r"Gemini refuses the gateway's credentials: (?P<cause>.+)",
        "not_sent": r"the call (?:never left|could not be made): (?P<cause>.+)",
        "no_token": r"Google gave the gateway no access token for Vertex AI \((?P<cause>.+)\)",
        "session_refused": r"Gemini refused the session with (?P<status>.+)",
        "session_broke_off": r"Gemini broke the session off",
        "session_unreported": r"the session ended before the turn was reported",
        "session_unanswered": r"the session ended before the model answered",
        "turn_unreported": r"the turn ended and its usage was not reported",
        "turn_joined": r"the turn was settled as one",
        "interaction": r"the interaction ended as (?P<status>.+)",
        "closed": r"the meter was closed before an answer came",
        "not_awaited": r"the app did not wait for the answer",
        "went_away": r"the caller went away before the call was sent",
        "doubted": r"the database did not say in time that it was taken",
        "not_made": r"the call was ended before it was made",
        "nothing": r"the work came to nothing",
        "gone": r"the provider has the work no more",
        "expired": r"(?:its|the hold's) time was up",
    }.items()
}
"""What the gateway and the SDK note, each with the name of its text."""


def hold_reason(texts: Texts, reason: str) -> str | None:
    """Give the text for a reason, None for one that a person wrote."""
    if (found := noted(_REASONS, reason)) is None:
        return None
    name, values = found
    return texts(f"hold_reason.{name}", **values)
