"""What is particular to interactions: they may run on after their answer, which can be asked for by its id, and their
events may end in several ways.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jangbu.domain.flow import Answered, Lost, Outcome
from jangbu.domain.usage import Source, Usage
from jangbu.providers.gemini import StreamMeter
from jangbu.providers.gemini.counting import COUNTING_MODEL, count_body, tokens_counted
from jangbu.providers.gemini.interactions import RUNNING
from jangbu.providers.gemini.json_values import json_or_nothing
from jangbu.sdk.begun import NOT_NOTED, note_begun
from jangbu.sdk.hook import Hook, model_of
from jangbu.sdk.later import Later, Work
from jangbu.sdk.routes import Route
from jangbu.sdk.streams import StreamReading

if TYPE_CHECKING:
    from jangbu.metering.meter import Metering

__all__ = ["CreatedInteraction", "FetchedEvents"]

_FINAL_EVENTS = (b"interaction.complete", b"[DONE]")
_ERROR_EVENTS = (b"event: error", b'"event_type":"error"', b'"event_type": "error"')


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
        self._note(outcome, shown.get("id"), runs_on=shown.get("status") in RUNNING)
        return outcome

    def reading(self, headers: Mapping[str, str]) -> StreamReading[bytes]:
        """Read the answer's events as they pass. They may end, or be left, before the work has ended."""
        meter = self._hook.stream_meter(self._route, self.call.call.model, headers)

        def judged(outcome: Outcome, usage: Usage) -> None:
            self._note(outcome, usage.response_id, runs_on=meter.runs_on)

        return _reading(meter, judged)

    def _note(self, outcome: Outcome, named: Any, *, runs_on: bool) -> None:
        """Note what an answer leaves to come. One that is recorded repeats its usage whenever it is fetched."""
        if not isinstance(named, str):
            return
        match outcome:
            case Answered(usage) if usage.source is not Source.NONE or not runs_on:
                self._hook.recorded.add(f"interactions/{named}")
            case Answered() | Lost():
                self._owed = f"interactions/{named}"

    async def _ended(self, metering: "Metering", outcome: Outcome) -> Outcome | None:
        """Leave the call to whoever sees the result, where more is to come. One that was lost is of unknown outcome
        until then.
        """
        if self._owed is None:
            return outcome
        is_noted = await note_begun(self._hook, metering, self._owed, self.call.call)
        if isinstance(outcome, Lost):
            return outcome
        return None if is_noted else NOT_NOTED


class FetchedEvents:
    """The end of events that are asked for again: what they report settles the call that waits for it, once.

    It stands where the call of a stream does. Whoever began the run pays.
    """

    is_abandoned = False

    def __init__(self, hook: Hook, route: Route, later: Later, headers: Mapping[str, str]) -> None:
        self._background = hook.background
        self._later = later
        self.reading = _reading(hook.stream_meter(route, None, headers))

    def report_by(self, reported: Callable[[], Outcome]) -> None:
        """Take note of nothing: closing the meter waits for calls, and this is none."""

    def read_here(self) -> None:
        """Take note of nothing."""

    def check_open(self) -> None:
        """Raise nothing."""

    def finish(self, outcome: Outcome) -> None:
        """Settle what was reported, and wait until that is durable."""
        if (work := self._work(outcome)) is not None:
            self._background.wait(work)

    async def finish_async(self, outcome: Outcome) -> None:
        """Settle what was reported; it goes on where the caller is cancelled."""
        if (work := self._work(outcome)) is not None:
            await self._background.wait_async(work)

    def finish_later(self, outcome: Outcome) -> None:
        """Settle what was reported without waiting."""
        if (work := self._work(outcome)) is not None:
            self._background.detach(self._background.submit(work))

    def _work(self, outcome: Outcome) -> Work | None:
        return self._later.reported(outcome.usage) if isinstance(outcome, Answered) else None


def _reading(
    meter: StreamMeter, judged: Callable[[Outcome, Usage], None] = lambda _outcome, _usage: None
) -> StreamReading[bytes]:
    return StreamReading(
        meter,
        meter.feed,
        may_be_last=_Marker(_FINAL_EVENTS).seen,
        is_error=_Marker(_ERROR_EVENTS).seen,
        keep_holding=True,
        judged=judged,
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
