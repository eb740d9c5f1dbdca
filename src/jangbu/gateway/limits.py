"""A call that counts under the limits of its key, towards its client."""

from jangbu.gateway.client import Client, Headers
from jangbu.metering.key_limits import Admission

__all__ = ["AdmittedClient"]


class AdmittedClient(Client):
    """A client whose call may count as under way. It ends before its answer does, because whoever has the whole answer
    may make the next call at once, which shall find what this one used and not this one.
    """

    admission: Admission | None = None
    """None where the key has no limits, or is not known yet."""

    async def answer(self, status: int, body: bytes, headers: Headers = ()) -> None:
        """Send a whole answer, once the call counts no longer as under way."""
        if self.admission is not None:
            await self.admission.end()
        await super().answer(status, body, headers)

    async def end(self, chunk: bytes = b"") -> None:
        """Send the last piece, once the call counts no longer as under way."""
        if self.admission is not None:
            await self.admission.end()
        await super().end(chunk)
