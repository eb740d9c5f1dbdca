"""Live: the messages of one session, without the socket.

A turn ends with a usage message. The prompt of each turn is all that was said in the session so far, as Gemini counts
it, so the messages of a session are to be summed.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jangbu.testing.behaviours import Behaviour, Recorded
from jangbu.testing.composing.composition import Composition, Piece, compose, segments
from jangbu.testing.composing.counting import Tokens, count_content, count_prompt
from jangbu.testing.composing.counting import field as get
from jangbu.testing.composing.failure import Failure
from jangbu.testing.composing.media import silence
from jangbu.testing.composing.tally import Tally, distort, live_usage
from jangbu.testing.surfaces.exchange import Ids
from jangbu.testing.surfaces.generate import CHUNKS

__all__ = ["LiveMessage", "LiveSession"]


@dataclass(frozen=True, slots=True)
class LiveMessage:
    """One message to the client. A turn's last one carries what the turn used: as reported, and as counted."""

    body: Mapping[str, Any] = field(hash=False)
    usage: Mapping[str, Any] | None = field(default=None, hash=False)
    counted: Mapping[str, Any] | None = field(default=None, hash=False)


@dataclass(slots=True)
class LiveSession:
    """One session: takes the client's messages and gives the server's. ``behave`` is asked once for each turn."""

    vertex: bool
    ids: Ids
    behave: Callable[[str], Behaviour]
    model: str = ""
    setup: Mapping[str, Any] = field(default_factory=dict)
    context: Tokens = field(default_factory=Tokens)
    heard: list[dict[str, Any]] = field(default_factory=list)

    def receive(self, message: Mapping[str, Any]) -> Iterator[LiveMessage]:
        """Take one message of the client and give what it is answered with, if anything."""
        if get(message, "setup") is not None:
            yield self._set_up(get(message, "setup"))
        elif get(message, "clientContent") is not None:
            content = get(message, "clientContent")
            self.heard += get(content, "turns") or []
            if get(content, "turnComplete"):
                yield from self._turn()
        elif get(message, "toolResponse") is not None:
            responses = get(get(message, "toolResponse"), "functionResponses") or []
            self.heard.append({"role": "user", "parts": [{"functionResponse": entry} for entry in responses]})
            yield from self._turn()
        elif get(message, "realtimeInput") is not None:
            yield from self._hear(get(message, "realtimeInput"))

    def _set_up(self, setup: Mapping[str, Any]) -> LiveMessage:
        self.setup = setup
        self.model = str(get(setup, "model") or "").rpartition("/")[2]
        self.context = count_prompt(setup)
        return LiveMessage({"setupComplete": {"sessionId": self.ids.new()} if self.vertex else {}})

    def _hear(self, given: Mapping[str, Any]) -> Iterator[LiveMessage]:
        """Collect what is heard; text, a pause or the end of speech lets the model answer."""
        for name in ("audio", "video"):
            if get(given, name):
                self.heard.append({"parts": [{"inlineData": get(given, name)}]})
        self.heard += [{"parts": [{"inlineData": chunk}]} for chunk in get(given, "mediaChunks") or ()]
        text = get(given, "text")
        if text:
            self.heard.append({"parts": [{"text": text}]})
        if text or get(given, "audioStreamEnd") or get(given, "activityEnd") is not None:
            yield from self._turn()

    def _turn(self) -> Iterator[LiveMessage]:
        behaviour = self.behave(self.model)
        if behaviour.status != 200:
            raise Failure(behaviour.status)
        if behaviour.recorded is not None:
            yield from _recorded_messages(behaviour.recorded)
            return
        self.context += count_content(self.heard)
        body = {"contents": self.heard, "tools": get(self.setup, "tools"), "generationConfig": self._config()}
        composition = compose(self.model, body, behaviour)
        self.heard = []
        tally = self._tally(composition, behaviour)
        for (piece,) in segments(composition, behaviour.chunks or CHUNKS) if composition.pieces else ():
            yield LiveMessage(self._said(piece))
        yield LiveMessage({"serverContent": {"generationComplete": True}})
        counted = live_usage(tally, vertex=self.vertex)
        usage = distort(counted, behaviour.usage)
        ended: dict[str, Any] = {"serverContent": {"turnComplete": True}}
        if usage is not None:
            ended["usageMetadata"] = usage
        yield LiveMessage(ended, usage, counted)
        self.context += tally.candidates

    def _tally(self, composition: Composition, behaviour: Behaviour) -> Tally:
        prompt = Tokens(self.context) if behaviour.prompt is None else Tokens(TEXT=behaviour.prompt)
        modality = "AUDIO" if self._speaks() else "TEXT"
        candidates = Tokens({modality: composition.tally.candidates.total()})
        thoughts = composition.tally.thoughts
        if behaviour.thoughts is None and "native-audio" in self.model:
            thoughts = 24 + len(composition.pieces)
        return replace(composition.tally, prompt=prompt, candidates=candidates, thoughts=thoughts)

    def _said(self, piece: Piece) -> dict[str, Any]:
        if "functionCall" in piece.part:
            return {"toolCall": {"functionCalls": [{"id": self.ids.new(), **piece.part["functionCall"]}]}}
        part = piece.part
        if self._speaks():
            part = {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": silence()}}
        return {"serverContent": {"modelTurn": {"role": "model", "parts": [part]}}}

    def _config(self) -> dict[str, Any]:
        """Give the session's configuration without its modalities: speech is made from text here."""
        config = dict(get(self.setup, "generationConfig") or {})
        return {name: value for name, value in config.items() if name not in {"responseModalities", "speechConfig"}}

    def _speaks(self) -> bool:
        modalities = get(get(self.setup, "generationConfig") or {}, "responseModalities") or ["AUDIO"]
        return str(modalities[0]).upper() == "AUDIO"


def _recorded_messages(recorded: Recorded) -> Iterator[LiveMessage]:
    """Give the server's messages of a recorded session, without the set-up, which this session has had."""
    for message in json.loads(recorded.body):
        usage = message.get("usageMetadata")
        if "setupComplete" not in message:
            yield LiveMessage(message, usage, usage)
