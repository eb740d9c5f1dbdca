"""Attempts to sign in: counted before a password is looked at, by the name that was typed and by where they come from.

Who guesses is held up longer with each failure. The address is asked first: while it is locked out it counts for no
name, so that one machine cannot keep a member locked out for long. All times are the database's.
"""

from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network

from jangbu import telemetry
from jangbu.domain.members import known_as
from jangbu.errors import LimitReached
from jangbu.storage import sessions
from jangbu.storage.database import Connection, Database
from jangbu.storage.sessions import Tried

__all__ = ["Attempts"]

_FREE = {Tried.NAME: 5, Tried.ADDRESS: 20}
"""The failure from which on each locks: by name for who mistypes, by address for an office that shares one."""
_LOCK_SECONDS_MAX = 900
_FORGET_SECONDS = 86_400
_IPV6_PREFIX = 64
"""What a provider gives to one customer: within it, anybody has as many addresses as they like."""


class Attempts:
    """The attempts to sign in to one project."""

    def __init__(self, database: Database, *, project: str) -> None:
        self._database = database
        self._project = project

    async def count(self, name: str, address: str | None) -> None:
        """Count an attempt as a failure. Raises LimitReached where one has to wait before the next.

        ``address`` is None where it says nothing about who comes, as behind a proxy that does not tell.
        """
        if address:
            await self._count(Tried.ADDRESS, _digest(_network(address)))
        await self._count(Tried.NAME, _digest(known_as(name)))

    async def take_back(self, connection: Connection, name: str, address: str | None) -> None:
        """Take back what was counted, because the attempt succeeded."""
        await sessions.succeed(connection, self._project, _digest(known_as(name)), _digest(_network(address or "")))

    async def forget(self, connection: Connection, name: str) -> None:
        """Forget the failures of a name."""
        await sessions.forget(connection, self._project, _digest(known_as(name)))

    async def purge(self) -> None:
        """Remove what counts no more."""
        await sessions.purge_failures(self._database, self._project, forget_seconds=_FORGET_SECONDS)

    async def _count(self, kind: Tried, digest: bytes) -> None:
        counted = await sessions.attempt(
            self._database,
            self._project,
            kind,
            digest,
            free=_FREE[kind],
            lock_seconds_max=_LOCK_SECONDS_MAX,
            forget_seconds=_FORGET_SECONDS,
        )
        if not counted.is_admitted:
            telemetry.emit("sessions.locked_out", kind=kind.value, failures=counted.failures)
            seconds = max(1, counted.wait_seconds)
            raise LimitReached(
                f"there were too many attempts; the next one may be in {seconds} s", seconds=seconds, hint="wait"
            )


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _network(address: str) -> str:
    """Give what stands for whoever comes from an address."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ip_network((found, _IPV6_PREFIX), strict=False))
    return str(found)
