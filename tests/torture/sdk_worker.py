"""An app's process: a metered google-genai client, called by several threads until the process is killed."""

import random
import signal
import threading
import time
import traceback
from contextlib import suppress
from typing import Any

import httpx2
from google import genai
from google.genai import errors, types

from jangbu import Meter
from jangbu.config import Settings
from jangbu.errors import DatabaseUnreachable, JangbuError
from tests.torture.body import marks_of_thread, prepare, settings_of
from tests.torture.plan import Life
from tests.torture.terms import MODELS, RICH, Ask, Terms, drawn, top_up
from tests.torture.words import Say

__all__ = ["live", "made_client", "received", "warm_up"]

_THREADS = 3
_PAUSE_SECONDS = 0.02
_PATIENCE_SECONDS = 10
_LIVES_A_TOP_UP = 4
"""So many lives in a row make the same top-up: all but one of them repeat it."""


def made_client(gemini_url: str) -> genai.Client:
    """Make the client before there are processes: its certificates alone take longer to load than a call takes."""
    return genai.Client(api_key="the-key-of-the-fake", http_options=types.HttpOptions(base_url=gemini_url))


def warm_up(terms: Terms) -> None:
    """Make a call of each kind in the process that forks all others, which loads for all of them what calls load.

    It leaves no thread and no connection behind.
    """
    client = made_client(terms.gemini_url)
    _mark_requests(client)
    with Meter.open(settings=Settings.load(**terms.settings(0))) as meter, meter.attribute(user=RICH[0]):
        meter.wrap(client)
        client.models.generate_content(model=MODELS[0], contents="hello")
        for _ in client.models.generate_content_stream(model=MODELS[0], contents="hello"):
            pass
    client._api_client._httpx_client.close()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while threading.active_count() > 1:
        assert time.monotonic() < deadline, "a thread is left"
        time.sleep(_PAUSE_SECONDS)


def live(life: Life, terms: Terms, client: genai.Client, say: Say) -> None:
    """Call until the end."""
    prepare(life, say)
    _mark_requests(client)
    meter = _opened(life, terms)
    meter.wrap(client)
    say("ready")
    dice = random.Random(life.seed)
    app = _App(meter, client, say)
    callers = [threading.Thread(target=app.call, args=(random.Random(dice.random()),)) for _ in range(_THREADS)]
    if life.closes_after is not None:
        callers.append(threading.Thread(target=app.close, args=(life.closes_after,)))
    for caller in callers:
        caller.start()
    app.top_up(life.number // _LIVES_A_TOP_UP, terms.top_up_tokens)
    for caller in callers:
        caller.join()
    signal.pause()


def received(say: Say, response: types.GenerateContentResponse) -> None:
    """Say that the app has the whole of an answer."""
    usage = response.usage_metadata
    assert usage is not None, "the fake reports usage"
    say(
        "whole",
        answer=response.response_id,
        prompt=usage.prompt_token_count or 0,
        candidates=usage.candidates_token_count or 0,
        thoughts=usage.thoughts_token_count or 0,
        total=usage.total_token_count or 0,
    )


def _opened(life: Life, terms: Terms) -> Meter:
    """Open the ledger as soon as the database is there."""
    settings = settings_of(life, terms)
    while True:
        try:
            return Meter.open(settings=settings)
        except DatabaseUnreachable:
            time.sleep(_PAUSE_SECONDS)


def _mark_requests(client: Any) -> None:
    """Put the mark into each request beneath the meter, where nothing changes it any more."""
    attempt = client._api_client._request_once

    def marked(http_request: Any, *arguments: Any, **options: Any) -> Any:
        http_request.headers = {**(http_request.headers or {}), **marks_of_thread()}
        return attempt(http_request, *arguments, **options)

    client._api_client._request_once = marked


class _App:
    """What an app does, in any of its threads."""

    def __init__(self, meter: Meter, client: genai.Client, say: Say) -> None:
        self._meter = meter
        self._client = client
        self._say = say
        self._closes = False

    def call(self, dice: random.Random) -> None:
        """Make one call after another. What fails that need not is told."""
        try:
            while not self._closes:
                self._make(drawn(dice))
        except BaseException:
            self._say("failed", what=traceback.format_exc()[-2_000:])

    def close(self, seconds: float) -> None:
        """Close the meter in order, with calls and streams under way."""
        time.sleep(seconds)
        self._closes = True
        self._meter.close()
        self._say("closed")

    def _make(self, ask: Ask) -> None:
        try:
            with self._meter.attribute(user=ask.user, service="torture"):
                (self._stream if ask.streams else self._generate)(ask)
        except JangbuError as refusal:
            self._say("refused", code=refusal.code)
            time.sleep(_PAUSE_SECONDS)
        except (errors.APIError, httpx2.HTTPError) as failure:
            self._say("broken", why=type(failure).__name__)

    def top_up(self, number: int, tokens: int) -> None:
        """Buy tokens, until it is known that they are there."""
        user, amount, key = top_up(number, tokens)
        self._say("top-up", number=number)
        while not self._closes:
            with suppress(JangbuError):
                self._meter.grant(user, amount, key=key)
                self._say("topped up", number=number)
                return
            time.sleep(_PAUSE_SECONDS)

    def _generate(self, ask: Ask) -> None:
        response = self._client.models.generate_content(
            model=ask.model, contents=ask.text, config=types.GenerateContentConfig(max_output_tokens=ask.output_most)
        )
        received(self._say, response)

    def _stream(self, ask: Ask) -> None:
        # What is given is an iterator, and more than one once the client is metered.
        stream: Any = self._client.models.generate_content_stream(
            model=ask.model, contents=ask.text, config=types.GenerateContentConfig(max_output_tokens=ask.output_most)
        )
        for number, chunk in enumerate(stream, 1):
            if number == ask.leaves_after:
                self._say("left")
                break
            # The app has the last byte now, whether or not it looks for another.
            if chunk.candidates and chunk.candidates[0].finish_reason:
                received(self._say, chunk)
        stream.close()
