"""The access tokens that open Vertex AI: a service account's, or those of the application-default credentials.

google-auth asks for them over blocking calls, so they are fetched on a thread of their own, once for all who wait. A
token that is about to expire still serves while the next one is fetched.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jangbu import telemetry
from jangbu.errors import InvalidSettings
from jangbu.gateway.upstream import UpstreamFailure

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

__all__ = ["AccessTokens"]

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
ATTEMPT_SECONDS = 10
"""How long one request for a token may take; google-auth makes up to three."""
WAIT_SECONDS = 20
"""How long a call waits for a token in all."""

Headers = Sequence[tuple[str, str]]


class AccessTokens:
    """The token in force. Belongs to one event loop."""

    def __init__(self, file: Path | None = None) -> None:
        """Take the service account of a key file, or look for the application-default credentials at the first call.

        Raises InvalidSettings where the file is no service account's key.
        """
        self._credentials = None if file is None else _service_account(file)
        self._fetching: asyncio.Task[None] | None = None

    async def headers(self) -> Headers:
        """Give the headers of a call that the token opens. Raises UpstreamFailure where none is to be had."""
        from google.auth.credentials import TokenState

        state = TokenState.INVALID if self._credentials is None else self._credentials.token_state
        if state is TokenState.INVALID:
            await self._fetched()
        elif state is TokenState.STALE:
            self._fetch()
        return self._present()

    async def renewed(self, refused: Headers) -> Headers:
        """Give other headers than those that the provider refused. Raises UpstreamFailure where none are to be had."""
        if self._present() == refused:
            await self._fetched()
        return self._present()

    async def close(self) -> None:
        """Wait for no token any more."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait((self._fetching,))

    def _present(self) -> Headers:
        credentials = self._credentials
        assert credentials is not None, "a token was fetched"
        own = [("authorization", f"Bearer {credentials.token}")]
        # A person's credentials belong to no project; theirs name the one whose quota their calls use up.
        quota: str | None = credentials.quota_project_id
        return own if quota is None else [*own, ("x-goog-user-project", quota)]

    async def _fetched(self) -> None:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                # Shielded, because others wait for the same token.
                await asyncio.shield(self._fetch())
        except TimeoutError:
            raise _failure("it does not answer") from None

    def _fetch(self) -> asyncio.Task[None]:
        """Have a token fetched, unless that is under way."""
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._ask())
            self._fetching.add_done_callback(_looked_at)
        return self._fetching

    async def _ask(self) -> None:
        try:
            self._credentials = await asyncio.to_thread(_refreshed, self._credentials)
        except Exception as error:
            # Not only google-auth's own errors: an answer that is no JSON object raises whatever reading it raises.
            telemetry.emit("upstream.failed", reason="no_token")
            telemetry.warn("vertex.no_token", f"Google gives no access token for Vertex AI: {_reason(error)}")
            raise _failure(type(error).__name__) from error


def _service_account(file: Path) -> "Credentials":
    from google.auth.exceptions import GoogleAuthError
    from google.oauth2.service_account import Credentials

    try:
        found: Credentials = Credentials.from_service_account_file(str(file), scopes=SCOPES)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, GoogleAuthError):
        # Without the cause: it may repeat what stands in the file.
        raise InvalidSettings(
            "vertex_credentials is no service account's key file",
            hint="download a key as JSON, or leave it out to use the application-default credentials",
        ) from None
    return found


def _refreshed(credentials: "Credentials | None") -> "Credentials":
    """Fetch a token; blocks. Without credentials, the application-default ones are looked for first."""
    import google.auth
    from google.auth.transport.requests import Request

    if credentials is None:
        credentials, _project = google.auth.default(scopes=SCOPES)
    credentials.refresh(partial(Request(), timeout=ATTEMPT_SECONDS))  # type: ignore[no-untyped-call]
    return credentials


def _reason(error: Exception) -> str:
    """Say what google-auth says, without the answer that it keeps beside it, which may hold a token."""
    return f"{type(error).__name__}: {str(error.args[0] if error.args else '')[:300]}"


def _failure(why: str) -> UpstreamFailure:
    return UpstreamFailure(f"Google gave the gateway no access token for Vertex AI ({why})", may_have_left=False)


def _looked_at(task: "asyncio.Task[None]") -> None:
    """Take note of a failure for which nobody may have waited; it was told where it happened."""
    if not task.cancelled():
        task.exception()
