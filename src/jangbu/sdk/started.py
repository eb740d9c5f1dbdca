"""Work that is started now and reports what it used later: batches and long operations.

A hold is taken before it is sent, and stays until the result is seen. Whose work it is, and which call waits for it, is
written down in the ledger, so that any process of the app may fetch the result. Where nothing tells how large a batch
is, because its requests stand in a file that nobody here can read, one token is held: who has nothing starts nothing.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jangbu.domain.flow import Bounds, Call, Lost
from jangbu.providers.gemini.batch_request import batch_bounds, cache_tokens, file_tokens, with_output_limits
from jangbu.providers.gemini.fields import fields
from jangbu.providers.gemini.json_values import json_or_nothing
from jangbu.providers.gemini.references import references
from jangbu.sdk import attribution
from jangbu.sdk.begun import note_begun
from jangbu.sdk.drivers import CallInProgress
from jangbu.sdk.hook import Hook
from jangbu.sdk.routes import Route
from jangbu.telemetry import warn

if TYPE_CHECKING:
    from jangbu.metering.meter import Metering

__all__ = ["StartedWork", "telling"]

NAMES_ASKED_MOST = 100
"""As many files and caches of a batch are asked for; a request that names others counts with all its model takes."""
_REQUESTS = {"batchGenerateContent": "generateContent", "asyncBatchEmbedContent": "embedContent"}
"""What each request of a batch is a call of."""
_UNTOLD = Bounds(1, 0, output_chosen=True)


class StartedWork:
    """One request that starts work. Whoever sends it drives the call that it opens. Raises MissingUser."""

    def __init__(self, hook: Hook, route: Route, http_request: Any) -> None:
        self._hook = hook
        self._route = route
        self._request = http_request
        self._body: Mapping[str, Any] = http_request.data if isinstance(http_request.data, dict) else {}
        self._known: dict[str, int] = {}
        self._user = str(attribution.required().user)

    @property
    def names(self) -> Sequence[str]:
        """The files and caches that the requests of a batch name, as many as are asked for."""
        if self._route.verb not in _REQUESTS or batch_bounds(self._body, None, {}) is None:
            return ()
        named = references(fields(self._body))
        return [name for name in named if name.startswith(("files/", "cachedContents/"))][:NAMES_ASKED_MOST]

    async def require_able_to_pay(self, metering: "Metering") -> None:
        """Refuse who has nothing before anything is asked for them."""
        from jangbu.metering.admission import require_able_to_pay

        await require_able_to_pay(metering, self._user)

    def asked(self) -> Iterable[tuple[str, Any]]:
        """Give the requests that ask how large the files and caches are which a batch names, each with the name."""
        for name in self.names:
            request = copy.copy(self._request)
            request.method = "get"
            parts = urlsplit(self._request.url)
            request.url = parts._replace(path=parts.path.rpartition("/models/")[0] + f"/{name}").geturl()
            request.data = {}
            yield name, request

    def told(self, name: str, answer: str) -> None:
        """Take in what the provider says of a file or a cache."""
        shown = json_or_nothing(answer)
        tokens = file_tokens(shown) if name.startswith("files/") else cache_tokens(shown)
        if tokens is not None:
            self._known[name] = tokens

    def opened(self) -> CallInProgress:
        """Open the call."""
        verb = _REQUESTS.get(self._route.verb)
        if verb is None:
            return self._hook.open(self._route, self._body)
        bounds = batch_bounds(self._body, self._route.model, self._known, verb)
        return self._hook.open(self._route, self._body, bounds or _UNTOLD)

    def limited(self, limit: int | None) -> Any:
        """Give the request with an output limit for each candidate put in; the app's own is left as it is."""
        if limit is None or self._route.verb != "batchGenerateContent":
            return self._request
        limited = copy.copy(self._request)
        limited.data = with_output_limits(self._body, limit)
        return limited

    def handed_over(self, call: CallInProgress, answer: str) -> "Future[None]":
        """Leave the call to whoever fetches the result of the work that an answer names."""
        return call.hand_over(lambda metering: _noted(self._hook, metering, call.call, answer))


async def _noted(hook: Hook, metering: "Metering", call: Call, answer: str) -> Lost | None:
    """Write down whose work it is that an answer names, so that whoever fetches its result settles the call.

    Gives how the call ended where that cannot be: its hold stays, and somebody has to look. The app has its work.
    """
    from jangbu.metering.owned import short_name

    name = json_or_nothing(answer).get("name")
    if not isinstance(name, str) or "/" not in name:
        return Lost("the provider did not say what it started")
    if not await note_begun(hook, metering, short_name(name), call):
        return Lost("whose work it is could not be written down")
    return None


@contextmanager
def telling(name: str) -> Iterator[None]:
    """Go on where the provider does not say how large a file is: who names it then holds the most there is."""
    try:
        yield
    except Exception as error:
        warn("sdk.size_unknown", f"how large {name} is cannot be asked: {error!r}", resource=name, error=error)
