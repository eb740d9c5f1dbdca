"""What a route of the API is: declared once, with the roles that may use it. There is no other way to make one."""

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from jangbu.domain.keys import Role

__all__ = ["FIGURES", "MONEY", "OPERATIONS", "READERS", "USER", "WRITERS", "Declared", "Routes"]

Endpoint = Callable[..., Coroutine[Any, Any, Any]]

USER = frozenset({Role.USER})
"""A user, of their own account alone."""
READERS = frozenset({Role.OWNER, Role.FINANCE, Role.DEVELOPER, Role.VIEWER})
"""Who may see single users, calls and entries."""
FIGURES = READERS | {Role.ANALYTICS}
"""Who may see sums."""
MONEY = frozenset({Role.OWNER, Role.FINANCE})
"""Who may give tokens."""
OPERATIONS = frozenset({Role.OWNER, Role.DEVELOPER})
"""Who may record, settle and make keys."""
WRITERS = MONEY | OPERATIONS

_BODY_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Declared:
    """One route. ``body_bytes`` is how large its body may be, None where the settings decide."""

    method: str
    path: str
    roles: frozenset[Role]
    endpoint: Endpoint
    answer: type[BaseModel]
    tag: str
    status: int
    also: tuple[int, ...]
    body_bytes: int | None

    @property
    def writes(self) -> bool:
        """Whether it changes something, so that it needs an idempotency key."""
        return self.method != "GET"

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
        return self._add("GET", path, roles, answer, 200, (), _BODY_BYTES)

    def post(
        self,
        path: str,
        *,
        roles: frozenset[Role],
        answer: type[BaseModel],
        status: int = 200,
        also: tuple[int, ...] = (),
        body_bytes: int | None = _BODY_BYTES,
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare a route that writes; ``also`` are further statuses of its success."""
        return self._add("POST", path, roles, answer, status, also, body_bytes)

    def _add(
        self,
        method: str,
        path: str,
        roles: frozenset[Role],
        answer: type[BaseModel],
        status: int,
        also: tuple[int, ...],
        body_bytes: int | None,
    ) -> Callable[[Endpoint], Endpoint]:
        def declared(endpoint: Endpoint) -> Endpoint:
            self._declared.append(Declared(method, path, roles, endpoint, answer, self._tag, status, also, body_bytes))
            return endpoint

        return declared
