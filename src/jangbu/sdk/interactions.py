"""What is particular to interactions: runs in the background, stored answers, and the end of their event streams."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from jangbu.domain.flow import Answered, Outcome, Rejected
from jangbu.domain.usage import Source
from jangbu.providers.gemini.counting import COUNTING_MODEL, count_body, tokens_counted
from jangbu.providers.gemini.interactions import RUNNING
from jangbu.providers.gemini.json_values import json_or_nothing
from jangbu.sdk.drivers import CallInProgress
from jangbu.sdk.hook import Hook, model_of
from jangbu.sdk.later import Later, Work, identified
from jangbu.sdk.routes import Route, work_name
from jangbu.sdk.streams import StreamReading

__all__ = ["CreatedInteraction", "FetchedInteraction"]

_FINAL_EVENTS = (b"interaction.complete", b"[DONE]")
_ERROR_EVENTS = (b"event: error", b'"event_type":"error"', b'"event_type": "error"')
_FAILED = frozenset({"failed", "cancelled"})


class CreatedInteraction:
    """An interaction that is created: its call, and how its answer is judged."""

    def __init__(self, hook: Hook, route: Route, body: Mapping[str, Any]) -> None:
        self.call = hook.open(route, body)
        self.previous: str | None = body.get("previous_interaction_id")
        self._hook = hook
        self._route = route
        self._body = body
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

    def judge(self, answer: str, headers: Mapping[str, str]) -> Outcome | None:
        """Judge a whole answer. None where it runs on in the background: its hold stays until it is fetched."""
        outcome = self._hook.outcome(answer, self._route, self.call, headers)
        shown = json_or_nothing(answer)
        match outcome:
            case Answered(usage) if usage.source is Source.NONE and shown.get("status") in RUNNING:
                self._hook.open_calls[f"interactions/{shown.get('id')}"] = self.call
                self.call.run_on()
                return None
        self._remember(outcome)
        return outcome

    def reading(self, headers: Mapping[str, str]) -> StreamReading[bytes]:
        """Read the answer's events as they pass."""
        meter = self._hook.stream_meter(self._route, self.call, headers)
        return StreamReading(
            meter,
            meter.feed,
            may_be_last=_Marker(_FINAL_EVENTS).seen,
            is_error=_Marker(_ERROR_EVENTS).seen,
            keep_holding=True,
            judged=self._remember,
        )

    def _remember(self, outcome: Outcome) -> None:
        """Note that an interaction is recorded: its stored answer repeats the usage whenever it is fetched."""
        match outcome:
            case Answered(usage) if usage.response_id is not None:
                self._hook.recorded.add(f"interactions/{usage.response_id}")


class FetchedInteraction:
    """An interaction that is asked for by its id. Made before it is sent, so that a missing user is refused."""

    def __init__(self, hook: Hook, route: Route, url: str) -> None:
        self._hook = hook
        self._route = route
        self._name = work_name(urlsplit(url).path)
        self.call: CallInProgress | None = hook.open_calls.get(self._name)
        is_settled = self.call is not None or self._name in hook.recorded
        self._later = None if is_settled else Later(hook, route, url, {})

    def judge(self, answer: str) -> Outcome | None:
        """Judge how the run of this process ended that the answer shows. None where it goes on, or is none of ours."""
        shown = json_or_nothing(answer)
        if self.call is None or shown.get("status") in RUNNING:
            return None
        usage = identified(self._hook.usage(answer, self._route, self.call.call.model), self._name)
        self._hook.open_calls.pop(self._name, None)
        if usage.source is Source.NONE and shown.get("status") in _FAILED:
            return Rejected(f"the interaction ended as {shown['status']}")
        self._hook.recorded.add(self._name)
        return Answered(usage)

    def work(self, answer: str) -> Work | None:
        """Give what there is to record of an interaction that another process started, or None."""
        if self._later is None or json_or_nothing(answer).get("status") in RUNNING:
            return None
        return self._later.work(answer)


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
