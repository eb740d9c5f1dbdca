"""An answer of the provider, its body not read yet, and how a call fails before there is one."""

import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from jangbu import telemetry
from jangbu.errors import UpstreamUnreachable
from jangbu.gateway.http_client import HttpAnswer, HttpFailure
from jangbu.gateway.redaction import Redaction
from jangbu.providers.gemini.key_errors import key_refusal

__all__ = ["REDIRECT", "REFUSAL_BYTES_MAX", "REFUSING", "KeyRefused", "UpstreamAnswer", "UpstreamFailure"]

REDIRECT = 300
REFUSING = (400, 401, 403)
"""With these the provider refuses a key, as it does much else."""
REFUSAL_BYTES_MAX = 64 * 1024
"""As much of an error is read to find out: Google's have a thousand bytes."""
SECRET_BYTES_LEAST = 16
"""Google's keys and tokens are longer; what is shorter might stand in any answer."""


class UpstreamFailure(UpstreamUnreachable):
    """The provider was not reached, or broke off. ``may_have_left`` tells whether the call may have been made."""

    def __init__(self, message: str, *, may_have_left: bool) -> None:
        super().__init__(message, hint="try again")
        self.may_have_left = may_have_left


class KeyRefused(UpstreamFailure):
    """The provider refuses the gateway's own key, so it did nothing: the client has another one, which is well. Only
    the operator can mend that.
    """

    def __init__(self, reason: str, key_number: int | None) -> None:
        which = "the gateway's credentials" if key_number is None else f"upstream key {key_number}"
        super().__init__(f"Gemini refuses {which}: {reason}", may_have_left=False)
        self.hint = "look at it, and at its project, in Google's console"


class UpstreamAnswer:
    """An answer of the provider, its body not read yet. Close it, or read it to its end."""

    def __init__(self, answer: HttpAnswer, secrets: Sequence[bytes] = ()) -> None:
        self._answer = answer
        self.status: int = answer.status
        # What an error says of the key stays here. In any other answer, a word that is no key of Google's is a word.
        is_error = self.status >= REDIRECT
        self.redaction = Redaction([each for each in secrets if is_error or len(each) >= SECRET_BYTES_LEAST])
        """Takes the key out of what goes to a client; whoever meters the answer needs it as it came."""
        self.headers: tuple[tuple[bytes, bytes], ...] = answer.headers
        self.key_mark: str | None = None
        """With which of the gateway's keys the call was made; None where it was made with other credentials."""
        self._ahead: deque[bytes] = deque()

    @property
    def length(self) -> int | None:
        """How many bytes the body has, where the provider announced it."""
        announced = self.header("content-length")
        return int(announced) if announced is not None and announced.isdecimal() else None

    def header(self, name: str) -> str | None:
        """Give a header's value, or None."""
        value = self._answer.header(name.encode("ascii"))
        return None if value is None else value.decode("latin-1")

    async def refusal(self) -> str | None:
        """Give the reason for which an error refuses what the call was made with; None for any other answer.

        What is read for that is there to be read again, and what breaks off does so again.
        """
        if self.status not in REFUSING:
            return None
        size = 0
        try:
            with suppress(HttpFailure):
                while size < REFUSAL_BYTES_MAX and (piece := await self._answer.piece()):
                    self._ahead.append(piece)
                    size += len(piece)
        except BaseException:
            self.close()
            raise
        return key_refusal(b"".join(self._ahead))

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give the body as it comes. Raises UpstreamFailure where it breaks off."""
        waited, goes_on = 0.0, True
        try:
            while self._ahead:
                yield self._ahead.popleft()
            while goes_on:
                began = time.monotonic()
                # It lies in a list and is taken from it: nothing here keeps it while a slow client is waited for.
                piece = [await self._answer.piece()]
                waited += time.monotonic() - began
                goes_on = bool(piece[0])
                if goes_on:
                    yield piece.pop()
        except HttpFailure as failure:
            telemetry.emit("upstream.failed", reason="broken_off")
            raise UpstreamFailure(f"the answer broke off: {failure}", may_have_left=True) from failure
        finally:
            # Whoever stopped in the middle does not come back.
            self.close()
            telemetry.emit("upstream.waited", seconds=waited)

    async def read(self, most: int) -> bytes:
        """Read a small body whole, without the key. Raises UpstreamFailure where it breaks off or has more bytes."""
        pieces, size = [], 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > most:
                self.close()
                raise UpstreamFailure(f"the answer is larger than {most:,} bytes", may_have_left=True)
            pieces.append(self.redaction.passed(chunk))
        return b"".join((*pieces, self.redaction.rest()))

    def close(self) -> None:
        """Drop what was not read, with its connection."""
        self._answer.close()
