"""What a route of the API is: declared once, with the roles that may use it. There is no other way to make one."""

from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from jangbu.domain.keys import Role

__all__ = ["FIGURES", "MONEY", "OPERATIONS", "OWNERS", "READERS", "USER", "VIEWS", "WRITERS", "Declared", "Routes"]

Endpoint = Callable[..., Coroutine[Any, Any, Any]]

USER = frozenset({Role.USER})
"""A user, of their own account alone."""
READERS = frozenset({Role.OWNER, Role.FINANCE, Role.DEVELOPER, Role.VIEWER})
"""Who may see single users, calls and entries."""
FIGURES = READERS | {Role.ANALYTICS}
"""Who may see sums."""
MONEY = frozenset({Role.OWNER, Role.FINANCE})
"""Who may give tokens."""
OWNERS = frozenset({Role.OWNER})
"""Who may do what has no way back."""
OPERATIONS = frozenset({Role.OWNER, Role.DEVELOPER})
"""Who may record, settle and make keys."""
WRITERS = MONEY | OPERATIONS
VIEWS = frozenset({Role.VIEWS})
"""What an app's backend needs to show its users their own accounts, and nothing more."""

_BODY_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Declared:
    """One route. ``body_bytes`` is how large its body may be, None where the settings decide.

    ``answer`` is None where it answers with a file, of one of the ``media_types``, each with an example. ``is_kept``
    tells that what it does stays in the ledger, so that to do it twice would be something else.
    """

    method: str
    path: str
    roles: frozenset[Role]
    endpoint: Endpoint
    answer: type[BaseModel] | None
    tag: str
    status: int = 200
    also: tuple[int, ...] = ()
    body_bytes: int | None = _BODY_BYTES
    media_types: Mapping[str, str] = field(default_factory=dict, hash=False)
    is_kept: bool = True

    @property
    def takes_body(self) -> bool:
        """Whether something is sent with it."""
        return self.method != "GET"

    @property
    def writes(self) -> bool:
        """Whether it changes something, so that it needs an idempotency key."""
        return self.takes_body and self.is_kept

    @property
    def name(self) -> str:
        """What it is called in the log, in metrics and as the id of its operation."""
        return f"{self.tag}.{self.endpoint.__name__}"


class Routes:
    """The routes of one part of the API."""

    def __init__(self, tag: str) -> None:
        self._tag = tag
        self._declared: list[Declared] = []

    def __iter__(self) -> Iterator[Declared]:
        """Give the routes in the order in which they were declared."""
        return iter(self._declared)

    def get(self, path: str, *, roles: frozenset[Role], answer: type[BaseModel]) -> Callable[[Endpoint], Endpoint]:
        """Declare a route that reads."""
        return self._adding(lambda endpoint: Declared("GET", path, roles, endpoint, answer, self._tag))

    def file(
        self, path: str, *, roles: frozenset[Role], media_types: Mapping[str, str]
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare a route that answers with a file of a media type; of each there is an example."""
        return self._adding(
            lambda endpoint: Declared("GET", path, roles, endpoint, None, self._tag, media_types=media_types)
        )

    def post(
        self,
        path: str,
        *,
        roles: frozenset[Role],
        answer: type[BaseModel],
        status: int = 200,
        also: tuple[int, ...] = (),
        body_bytes: int | None = _BODY_BYTES,
        is_kept: bool = True,
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare a route that writes; ``also`` are further statuses of its success."""
        return self._adding(
            lambda endpoint: Declared(
                "POST", path, roles, endpoint, answer, self._tag, status, also, body_bytes, is_kept=is_kept
            )
        )

    def _adding(self, declare: Callable[[Endpoint], Declared]) -> Callable[[Endpoint], Endpoint]:
        def declared(endpoint: Endpoint) -> Endpoint:
            self._declared.append(declare(endpoint))
            return endpoint

        return declared
