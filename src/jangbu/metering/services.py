"""The services of a ledger, which stand in every report: their number is bounded, and users begin none."""

from jangbu.errors import InvalidMetadata, NotPermitted
from jangbu.metering.content import service_name
from jangbu.providers.gemini.services import SERVICES
from jangbu.storage.names import ServiceNames

__all__ = ["Services"]


class Services:
    """Which services there are. One that was seen once costs no further look."""

    def __init__(self, names: ServiceNames, *, most: int) -> None:
        self.names = names
        self._most = most

    async def admit(self, service: str, *, may_begin: bool = True) -> None:
        """Let a call be made for a service, which is begun where it is new. Those of calls that name none always are.

        Raises InvalidMetadata for what is no name and where there are as many services as there may be, and
        NotPermitted for a new one where the caller may not begin any.
        """
        if service_name(service) in self.names or service in SERVICES:
            return
        if await self.names.admit(service, self._most if may_begin else 0):
            return
        if not may_begin:
            raise NotPermitted(
                f"there is no service {service!r}, and users begin none", hint="name one that there is, or leave it out"
            )
        raise InvalidMetadata(
            f"there are {self._most:,} services already, and {service!r} would be another",
            hint="name one of them, and tell what varies by tags",
        )
