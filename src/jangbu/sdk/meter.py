"""The meter: what an app opens, wraps its client with, and asks for balances."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, Self, TypeVar

from jangbu.config import Settings
from jangbu.domain.flow import Receipt
from jangbu.domain.ledger import Balance
from jangbu.errors import JangbuError
from jangbu.sdk import attribution
from jangbu.sdk.attribution import Attributing
from jangbu.sdk.background import Background

if TYPE_CHECKING:
    from jangbu.domain.forecast import Expiring
    from jangbu.metering.meter import Metering
    from jangbu.metering.postings import Posted
    from jangbu.sdk.connected import ConnectedMeter

__all__ = ["Meter"]

Client = TypeVar("Client")
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Meter:
    """Meters a google-genai client against the ledger.

    >>> with Meter.open() as meter:                                          # doctest: +SKIP
    ...     client = meter.wrap(genai.Client())
    ...     with meter.attribute(user="minji", service="script"):
    ...         client.models.generate_content(model="gemini-2.5-flash", contents="...")

    Every method that waits has an asynchronous counterpart, named with an ``a`` before. Both may be used from any
    thread and any event loop; a process that was forked opens a meter of its own.
    """

    def __init__(self, background: "Background[Metering]") -> None:
        self._background = background

    @classmethod
    def open(cls, dsn: str | None = None, *, settings: Settings | None = None) -> Self:
        """Open the ledger at ``dsn``, else where the settings say, else the embedded one.

        Where an event loop runs in the calling thread nothing is waited for: ``async with``, or the first use, does.
        Raises DatabaseUnreachable and InvalidSettings.
        """
        chosen = settings or Settings.load(database_url=dsn)
        if settings is not None and dsn is not None:
            chosen = settings.model_copy(update={"database_url": Settings.load(database_url=dsn).database_url})
        meter = cls(Background(lambda: _open(chosen)))
        if not _loop_is_running():
            meter._background.opened().result()
        return meter

    @classmethod
    def connect(cls, url: str, key: str, *, patience_seconds: int = 30) -> "ConnectedMeter":
        """Give a meter that records through the API of `jangbu serve` at ``url``, without a connection to the database.

        ``key`` is one of Jangbu's, with a role. What is lost on the way is sent again, for ``patience_seconds`` at
        most, and is recorded once. It does all that a meter does but for wrapping a client: tokens are held before a
        call by a meter of ``open``, or by the gateway. Nothing is sent before it is used.

        Raises InvalidInput for what is no address or no key; what is used raises LedgerUnreachable, and the errors that
        the ledger itself would.
        """
        from jangbu.sdk.connected import ConnectedMeter

        return ConnectedMeter(url, key, patience_seconds=patience_seconds)

    def close(self) -> None:
        """Refuse new calls, let those that were begun finish, and close the ledger.

        Calls in other threads are waited for, up to half a minute. A stream that nobody reads on is settled by what it
        reported, marked as partial; a call that is not answered by then keeps its hold, marked as unknown. The same
        happens when the interpreter exits.
        """
        self._background.close()

    async def aclose(self) -> None:
        """Close as ``close`` does."""
        await self._background.aclose()

    def __enter__(self) -> Self:
        self._background.opened().result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        await asyncio.shield(asyncio.wrap_future(self._background.opened()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __reduce__(self) -> NoReturn:
        """Refuse to be copied, or sent to another process: what a meter has open is of this one."""
        raise JangbuError("a meter is neither copied nor sent to another process", hint="open a meter in each process")

    def wrap(self, client: Client) -> Client:
        """Meter a ``genai.Client``, with its ``aio``: the same object is given back. Wrapping it again changes nothing.

        Each call then needs a user (``attribute``), takes a hold, and is recorded before its answer is handed over.
        Raises InvalidInput for what is no google-genai client of 1.21.1 or later.
        """
        from jangbu.sdk.hook import Hook
        from jangbu.sdk.wrap import instrument

        instrument(client, Hook(self._background))
        return client

    def attribute(
        self, *, user: str | None = None, service: str | None = None, tags: Mapping[str, str] | None = None
    ) -> Attributing:
        """Say who pays for the calls made inside ``with``; also a decorator. See ``jangbu.sdk.attribution``.

        Blocks nest: what an inner one leaves out it inherits, and tags are merged. What is decorated may be a coroutine
        or generator function; a generator's steps are inside, and not what its reader does. Raises InvalidMetadata.
        """
        return attribution.attribute(user=user, service=service, tags=tags)

    def bind(self, function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        """Give a function that keeps the present attribution in whichever thread it is called."""
        return attribution.bind(function)

    def record_token_usage(
        self,
        user_id: str,
        service_type: str,
        model_name: str,
        response: object,
        metadata: Mapping[str, Any] | None = None,
    ) -> Receipt:
        """Record an answer that the app asked for by itself, and deduct it. Never given a number, always the answer.

        ``response`` is what the client returned: a response object of any version, a dict, bytes or text of JSON or of
        an event stream. ``model_name`` counts only where the answer names none. The same answer recorded twice gives
        the first receipt. A call that failed is none to record: an error raises InvalidAnswer, as whatever else says
        nothing of what it used. Raises NotFound and InvalidMetadata, too.
        """
        return self._background.wait(self._recording(user_id, service_type, model_name, response, metadata))

    async def arecord_token_usage(
        self,
        user_id: str,
        service_type: str,
        model_name: str,
        response: object,
        metadata: Mapping[str, Any] | None = None,
    ) -> Receipt:
        """Record as ``record_token_usage`` does."""
        work = self._recording(user_id, service_type, model_name, response, metadata)
        return await self._background.wait_async(work)

    def create(self, user: str) -> bool:
        """Open an account for a user; tell whether it is new."""
        return self._background.wait(lambda metering: metering.accounts.create(user))

    async def acreate(self, user: str) -> bool:
        """Open an account as ``create`` does."""
        return await self._background.wait_async(lambda metering: metering.accounts.create(user))

    def grant(
        self,
        user: str,
        tokens: int,
        *,
        key: str,
        expires_at: datetime | None = None,
        priority: int = 0,
        source: str = "purchase",
    ) -> "Posted":
        """Give a user tokens that were bought or are a gift, once for the key. Raises NotFound, IdempotencyConflict."""
        return self._background.wait(
            lambda metering: metering.accounts.grant(
                user, tokens, key=key, expires_at=expires_at, priority=priority, source=source
            )
        )

    async def agrant(
        self,
        user: str,
        tokens: int,
        *,
        key: str,
        expires_at: datetime | None = None,
        priority: int = 0,
        source: str = "purchase",
    ) -> "Posted":
        """Give tokens as ``grant`` does."""
        return await self._background.wait_async(
            lambda metering: metering.accounts.grant(
                user, tokens, key=key, expires_at=expires_at, priority=priority, source=source
            )
        )

    def balance(self, user: str) -> Balance:
        """Give a user's balance, after whatever was settled in the background until now. Raises NotFound."""
        self._background.wait_for_detached()
        return self._background.wait(lambda metering: metering.accounts.balance(user))

    async def abalance(self, user: str) -> Balance:
        """Give a balance as ``balance`` does."""
        await self._background.wait_for_detached_async()
        return await self._background.wait_async(lambda metering: metering.accounts.balance(user))

    def expiring(self, user: str) -> "Expiring | None":
        """Give what of a user's tokens expires within a week unless it is used; None where nothing does.

        What is settled in the background is waited for, as ``balance`` does. Raises NotFound.
        """
        self._background.wait_for_detached()
        return self._background.wait(lambda metering: metering.accounts.expiring(user))

    async def aexpiring(self, user: str) -> "Expiring | None":
        """Give what expires as ``expiring`` does."""
        await self._background.wait_for_detached_async()
        return await self._background.wait_async(lambda metering: metering.accounts.expiring(user))

    def view_token(self, user: str, seconds: int = 900) -> str:
        """Give a token by which a user's own view may be read for a while: for ``<token-meter>`` in the app's page.

        Make it only for whom the app knows to be that user. Raises NotFound, and InvalidInput for more than an hour.
        """
        return self._background.wait(lambda metering: metering.view_tokens.make(user, seconds)).text

    async def aview_token(self, user: str, seconds: int = 900) -> str:
        """Give a token as ``view_token`` does."""
        made = await self._background.wait_async(lambda metering: metering.view_tokens.make(user, seconds))
        return made.text

    def _recording(
        self, user: str, service: str, model: str, response: object, metadata: Mapping[str, Any] | None
    ) -> "Callable[[Metering], Coroutine[Any, Any, Receipt]]":
        """Read the answer here, where its error belongs; the ledger is given the result."""
        from jangbu.metering.evidence import require_told
        from jangbu.providers.gemini import parse_object

        usage = parse_object(response, model=model)
        require_told(usage)
        return lambda metering: metering.record(
            user, attribution.checked_service(service), usage, model=model, metadata=metadata
        )


def _open(settings: Settings) -> Any:
    from jangbu.wiring import open_metering

    return open_metering(settings)


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
