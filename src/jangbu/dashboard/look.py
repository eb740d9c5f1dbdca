"""A look at a page: who looks, at what part of the book, in which language and time zone. All of it is in the URL."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from uuid import UUID

from jangbu.dashboard.formats import Formats
from jangbu.dashboard.texts import Texts
from jangbu.domain.keys import Role
from jangbu.domain.ledger import is_erased
from jangbu.domain.members import Session

if TYPE_CHECKING:
    from jangbu.config import Settings
    from jangbu.metering.meter import Metering
    from jangbu.metering.verification_runs import VerificationRuns

__all__ = ["FILTERS", "KEPT", "PREFIX", "Look"]

PREFIX = "/dashboard"
KEPT = ("range", "from", "to", "zone", "user", "model", "service", "compare")
"""What a link to another page takes along."""
FILTERS = ("user", "model", "service")


@dataclass(frozen=True, slots=True)
class Look:
    """What a page is made from. ``origin`` is where people reach the server, as in links that are sent to
    somebody; ``address`` is where who looks comes from, an empty text where nobody knows."""

    ledger: "Metering"
    runs: "VerificationRuns"
    settings: "Settings"
    session: Session
    path: str
    query: Mapping[str, str]
    texts: Texts
    formats: Formats
    now: datetime
    origin: str = ""
    address: str = ""
    form: Mapping[str, str] = field(default_factory=dict)

    def asked(self, name: str) -> str | None:
        """Give what the URL asks for under a name; nothing where it is empty."""
        return self.query.get(name) or None

    def url(self, path: str | None = None, /, **changes: object) -> str:
        """Give the address of a page with what is chosen kept: of this one, with changes, or of another one."""
        kept = {name: value for name, value in self.query.items() if path is None or name in KEPT}
        for once in ("notice", "lang"):
            kept.pop(once, None)
        kept |= {name.rstrip("_"): str(value) for name, value in changes.items() if value is not None}
        for name, value in changes.items():
            if value is None:
                kept.pop(name.rstrip("_"), None)
        target = self.path if path is None else PREFIX + path
        return f"{target}?{urlencode(kept)}" if kept else target

    def call(self, call: UUID, user: str) -> str:
        """Give the address of a call's page. From an erased user no way leads to it, so it names none."""
        return self.url("/call", call=call, user=None if is_erased(user) else user)

    @property
    def is_filtered(self) -> bool:
        """Whether the page shows a part of what there is in its period."""
        return any(self.asked(name) for name in FILTERS)

    @property
    def unfiltered(self) -> str:
        """Give the address of the same page without its filters."""
        return self.url(**dict.fromkeys(FILTERS))

    @property
    def begun(self) -> str:
        """Give the address of the same page as it begins, with nothing chosen: a user's page is still that user's."""
        kept = {"user": self.query["user"]} if self.path == f"{PREFIX}/user" and self.asked("user") else {}
        return f"{self.path}?{urlencode(kept)}" if kept else self.path

    def may(self, roles: frozenset[Role]) -> bool:
        """Tell whether who looks has one of the roles."""
        return bool(self.session.member.roles & roles)
