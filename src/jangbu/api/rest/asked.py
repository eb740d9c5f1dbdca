"""Who asks, with what, and whose account is meant: the ways in which every route learns it."""

from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import unquote

from fastapi import Depends, Path, Query, Request
from starlette.types import Receive

from jangbu.api.rest.bodies import Bodies
from jangbu.api.rest.streams import Streams
from jangbu.domain.keys import Key, KeyKind
from jangbu.errors import InvalidInput, NotFound
from jangbu.metering.meter import Metering
from jangbu.metering.reports import Reports
from jangbu.metering.verification_runs import VerificationRuns

__all__ = ["Account", "Ask", "Asked", "Parts", "Somebody", "Whose"]


@dataclass(frozen=True, slots=True)
class Parts:
    """What all requests share. ``language`` is that of words for people, ``shows_costs`` whether users see costs."""

    ledger: Metering
    project: str
    language: Literal["en", "ko"]
    bodies: Bodies
    shows_costs: bool
    runs: VerificationRuns
    streams: Streams


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: the key that was shown, and the caller's own key for what is written, empty where nothing is.

    ``receive`` tells when its client has left.
    """

    parts: Parts
    key: Key
    once: str
    receive: Receive

    @property
    def ledger(self) -> Metering:
        """The ledger of the project."""
        return self.parts.ledger

    @property
    def reports(self) -> Reports:
        """The reports of the project."""
        return Reports(self.parts.ledger.database, self.parts.project)

    @property
    def own_user(self) -> str | None:
        """The only user whose things the key may see, None where it may see everybody's."""
        return self.key.user if self.key.kind is KeyKind.USER else None

    @property
    def sees_costs(self) -> bool:
        """Whether the key may see what calls cost by the price list, and what the app noted with them."""
        return self.own_user is None or self.parts.shows_costs

    def user(self, named: str) -> str:
        """Give the user who is named. To a user's own key others do not exist: raises NotFound."""
        if self.own_user is not None and named != self.own_user:
            raise NotFound(f"user {named!r} has no account")
        return named


def _asked(request: Request) -> Asked:
    asked: Asked = request.state.asked
    return asked


Ask = Annotated[Asked, Depends(_asked)]


def _account(ask: Ask, user: Annotated[str, Path(description="The app's own user id, percent-encoded.")]) -> str:
    """Read a user out of the path, which is matched as it was sent: an encoded slash is a part of the name."""
    try:
        return ask.user(unquote(user, errors="strict"))
    except UnicodeDecodeError:
        raise InvalidInput("the user in the path is no UTF-8") from None


def _somebody(ask: Ask, user: Annotated[str | None, Query(description="The app's own user id.")] = None) -> str | None:
    return ask.own_user if user is None else ask.user(user)


def _whose(user: Annotated[str | None, Depends(_somebody)]) -> str:
    if user is None:
        raise InvalidInput("say whose", hint="add ?user=, or have everybody's as a file from /exports/calls")
    return user


Account = Annotated[str, Depends(_account)]
"""The user whose account the path names."""
Somebody = Annotated[str | None, Depends(_somebody)]
"""The user whom the query names; None for everybody, whom a user's own key never means."""
Whose = Annotated[str, Depends(_whose)]
"""The user whom the query has to name, but with a user's own key."""
