"""What is particular to interactions: they may run on after their answer, which can be asked for by its id, and their
events may end in several ways.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jangbu.domain.flow import Answered, Lost, Outcome, Rejected
from jangbu.domain.usage import Source, Usage
from jangbu.errors import JangbuError
from jangbu.providers.gemini import StreamMeter
from jangbu.providers.gemini.counting import COUNTING_MODEL, count_body, tokens_counted
from jangbu.providers.gemini.interactions import RUNNING
from jangbu.providers.gemini.json_values import json_or_nothing
from jangbu.providers.gemini.work import work_of
from jangbu.sdk.begun import note_begun, settled
from jangbu.sdk.hook import Hook, model_of
from jangbu.sdk.later import Work, identified
from jangbu.sdk.routes import Route, work_name
from jangbu.sdk.streams import StreamEnd, StreamReading

if TYPE_CHECKING:
    from jangbu.metering.meter import Metering

__all__ = ["CreatedInteraction", "FetchedEvents"]

_FINAL_EVENTS = (b"interaction.complete", b"[DONE]")


class CreatedInteraction:
    """An interaction that is created: its call, and how its answer is judged."""

    def __init__(self, hook: Hook, route: Route, body: Mapping[str, Any]) -> None:
        self.call = hook.open(route, body)
        self.call.ends_by(self._ended)
        self.previous: str | None = body.get("previous_interaction_id")
        self._hook = hook
        self._route = route
        self._body = body
        self._owed: str | None = None
        """The name under which the rest of the answer can be asked for, where more is to come."""
        self.counting_model = (model_of(body) if "model" in body else None) or COUNTING_MODEL

    def counted(self) -> Mapping[str, Any] | None:
        """Give the body of the countTokens request for what is added now; None where that is bounded without it."""
        if self._added_most() is not None:
            return None
        model, alone = self.counting_model, self._alone()
        found: Mapping[str, Any] = count_body(self._route.surface, self._route.platform, model, alone)
        return found

    def input_most(self, count: str | None, previous: str | None) -> int | None:
        """Bound the input by what countTokens said of what is added now, where that was asked, and by what the
        interaction before used in all, which is its context. None where either is not known.
        """
        added = self._added_most() if count is None else tokens_counted(json_or_nothing(count))
        if added is None or self.previous is None:
            return added
        context = None if previous is None else self._hook.usage(previous, self._route, None)
        return None if context is None or context.source is Source.NONE else added + context.total_tokens

    def _added_most(self) -> int | None:
        return self._hook.bounds(self._route, self._alone()).input_most

    def _alone(self) -> Mapping[str, Any]:
        """Give the request without what it goes on from."""
        return {name: value for name, value in self._body.items() if name != "previous_interaction_id"}

    def judge(self, answer: str, headers: Mapping[str, str]) -> Outcome:
        """Judge a whole answer. It may run on in the background: its call waits for the result then."""
        outcome = self._hook.outcome(answer, self._route, self.call, headers)
        shown = json_or_nothing(answer)
        self._note(outcome, shown.get("id"), shown.get("status"))
        return outcome

    def reading(self, headers: Mapping[str, str]) -> StreamReading[bytes]:
        """Read the answer's events as they pass. They may end, or be left, before the work has ended."""
        meter = self._hook.stream_meter(self._route, self.call.call.model, headers)
        return _reading(meter, lambda outcome, usage: self._note(outcome, usage.response_id, meter.status))

    def _note(self, outcome: Outcome, named: Any, status: Any) -> None:
        """Note what an answer leaves to come. A run in the background goes on, whatever becomes of its events and
        whatever they reported; what is recorded repeats its usage whenever it is fetched.
        """
        if not isinstance(named, str):
            return
        runs_on = status in RUNNING
        is_left = runs_on and bool(self._body.get("background"))
        match outcome:
            case Answered(usage) if not is_left and (usage.source is not Source.NONE or not runs_on):
                self._hook.recorded.add(f"interactions/{named}")
            case Rejected() if not is_left:
                return
            case Lost() if self._body.get("store") is False:
                return
            case _:
                self._owed = f"interactions/{named}"

    async def _ended(self, metering: "Metering", outcome: Outcome) -> Outcome | None:
        """Leave the call to whoever sees the result, where more is to come."""
        if self._owed is None:
            return outcome
        if isinstance(outcome, Lost):
            # It is of unknown outcome at once: to note whose it is takes long where the database is away.
            self._note_aside(self._owed)
            return outcome
        await note_begun(self._hook, metering, self._owed, self.call.call)
        return None

    def _note_aside(self, name: str) -> None:
        call, background = self.call.call, self._hook.background
        with suppress(JangbuError):
            background.detach(background.submit(lambda metering: note_begun(self._hook, metering, name, call)))


class FetchedEvents(StreamEnd):
    """Events of an interaction that are asked for again: at its end they settle the call that waits for it, once, for
    whoever began it. What the ledger does not know is left to a plain get, which tells who asks.
    """

    def __init__(self, hook: Hook, route: Route, url: str, headers: Mapping[str, str]) -> None:
        self._hook = hook
        self._name = work_name(urlsplit(url).path)
        self._meter = hook.stream_meter(route, None, headers)
        self._usage: Usage | None = None
        self.reading = _reading(self._meter, self._see)

    def finish(self, _outcome: Outcome) -> None:
        """Settle what was reported, and wait until that is durable."""
        if (work := self._work()) is not None:
            self._hook.background.wait(work)

    async def finish_async(self, _outcome: Outcome) -> None:
        """Settle what was reported; it goes on where the caller is cancelled."""
        if (work := self._work()) is not None:
            await self._hook.background.wait_async(work)

    def finish_later(self, _outcome: Outcome) -> None:
        """Settle what was reported without waiting."""
        if (work := self._work()) is not None:
            self._hook.background.detach(self._hook.background.submit(work))

    def _see(self, _outcome: Outcome, usage: Usage) -> None:
        self._usage = identified(usage, self._name)

    def _work(self) -> Work | None:
        usage, shown = self._usage, {"status": self._meter.status}
        has_ended = self._meter.status is not None and work_of(shown).has_ended
        if usage is None or not has_ended or self._name in self._hook.recorded:
            return None
        if usage.source is Source.NONE and not work_of(shown).has_failed:
            return None

        def reads(model: str) -> tuple[Usage, bool]:
            return (usage if usage.model is not None else replace(usage, model=model)), False

        async def settle(metering: "Metering") -> None:
            if await settled(self._hook, metering, self._name, reads, shown):
                self._hook.recorded.add(self._name)

        return settle


def _reading(meter: StreamMeter, on_outcome: Callable[[Outcome, Usage], None]) -> StreamReading[bytes]:
    return StreamReading(
        meter,
        meter.feed,
        may_be_last=_Marker(_FINAL_EVENTS).seen,
        is_error=lambda _piece: meter.error_seen,
        keep_holding=True,
        on_outcome=on_outcome,
    )


class _Marker:
    """Looks for marks in bytes that are cut anywhere; once one is seen it stays seen."""

    def __init__(self, marks: tuple[bytes, ...]) -> None:
        self._marks = marks
        self._tail = b""
        self._found = False

    def seen(self, piece: bytes) -> bool:
        """Take the next piece in; tell whether a mark was seen by now."""
        window = self._tail + piece
        self._found = self._found or any(mark in window for mark in self._marks)
        self._tail = window[-max(map(len, self._marks)) :]
        return self._found
