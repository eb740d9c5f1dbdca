"""Recorded Live sessions, played through a gateway: Google's part by what was recorded, the client's by what it said.

The corpus holds what Google said. What the client said follows from it: a question after the setup, the response of a
function that was called, or speech all along where Google wrote down that it heard some.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any

import aiohttp
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from jangbu.testing import FakeGemini
from tests.gateway.book import asked, require_sound
from tests.gateway.google_accounts import TokenEndpoint
from tests.gateway.live import MODEL, PATH, abandon, connected, provider, said, speech
from tests.gateway.stage import Stage
from tests.gateway.vertex import PLACE, vertex_stage
from tests.providers.corpus import Recorded, recorded

TOKENS = 10_000_000
AT_ONCE = 24
BY_ITSELF = (4000, "the provider had said all")
VERTEX_PATH = "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"
ANSWERED_IN_THE_NEXT_TURN = frozenset({"0298.json"})
"""Where a turn ends with the call of a function, is reported, and what the function gives is answered in the next."""

Message = str | bytes


class Ending(Enum):
    """How a provider ends a session, once it has said its part."""

    CLOSE = auto()
    BREAK_OFF = auto()
    SAY_NO_MORE = auto()


@dataclass(frozen=True)
class Dialogue:
    """One recorded session. Every other message is said as bytes, for Google sends both kinds."""

    recording: Recorded
    said: tuple[Message, ...]
    heard: tuple[dict[str, Any], ...] = field(repr=False)

    @classmethod
    def of(cls, recording: Recorded) -> "Dialogue":
        raw = recording.messages()
        messages = [each if number % 2 else each.decode() for number, each in enumerate(raw)]
        return cls(recording, tuple(messages), tuple(json.loads(each) for each in raw))

    @property
    def is_spoken(self) -> bool:
        return any("inputTranscription" in each.get("serverContent", {}) for each in self.heard)

    def reply(self, number: int) -> dict[str, Any] | None:
        """Give what the client says to a message, if anything."""
        message = self.heard[number]
        if self.is_spoken:
            return speech(0.1)
        if "toolCall" in message:
            called = message["toolCall"]["functionCalls"]
            responses = [{"id": each["id"], "name": each["name"], "response": {"ok": True}} for each in called]
            return {"toolResponse": {"functionResponses": responses}}
        return said("hi") if "setupComplete" in message and len(self.heard) > 1 else None

    def reports(self, count: int) -> list[dict[str, int]]:
        """Give the counts that the first messages report, by the corpus's names."""
        usages = [each["usageMetadata"] for each in self.heard[:count] if "usageMetadata" in each]
        return [_counts(usage) for usage in usages]

    def owed(self, count: int) -> int:
        """Count the reports that are still owed after the first messages, for what was asked and what was made."""
        questions = 0 if self.is_spoken else int(self.reply(0) is not None)
        if self.recording.name in ANSWERED_IN_THE_NEXT_TURN:
            questions += sum("toolCall" in each for each in self.heard[:count])
        reported = [number for number, each in enumerate(self.heard[:count]) if "usageMetadata" in each]
        since = self.heard[reported[-1] + 1 if reported else 0 : count]
        return max(questions - len(reported), int(any(map(_is_made, since))))


DIALOGUES = [Dialogue.of(each) for each in recorded() if each.framing == "ws"]


@dataclass(frozen=True)
class Play:
    """How one session goes: what is said of a recording, what is replied to, how it ends."""

    user: str
    dialogue: Dialogue
    said: int
    replied: int
    ending: Ending


@dataclass(frozen=True)
class Booked:
    """What the ledger holds of a user: the counts of each record in order, and the holds that are not settled."""

    records: list[dict[str, int]]
    used: int
    held: int
    open: int
    unknown: int


class RecordedProvider:
    """Says in each session what its play says. A play is found by its user, whom the setup names."""

    def __init__(self) -> None:
        self._plays: dict[str, Play] = {}

    def expect(self, play: Play) -> None:
        """Make a play known."""
        self._plays[play.user] = play

    async def script(self, socket: ServerConnection) -> None:
        """Play one session, as far as it is listened to."""
        with suppress(ConnectionClosed):
            await self._play(socket)

    async def _play(self, socket: ServerConnection) -> None:
        setup = json.loads(await socket.recv())["setup"]
        play = self._plays[setup["systemInstruction"]["parts"][0]["text"]]
        for number, message in enumerate(play.dialogue.said[: play.said]):
            await socket.send(message)
            if number < play.replied and play.dialogue.reply(number) is not None:
                await socket.recv()
        if play.ending is Ending.CLOSE:
            await socket.close(*BY_ITSELF)
        elif play.ending is Ending.BREAK_OFF:
            socket.transport.abort()
        await socket.wait_closed()


@dataclass
class LiveStage:
    """A gateway before a provider of recorded sessions."""

    served: Stage
    provider: RecordedProvider
    playing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def hear_out(self, play: Play) -> tuple[list[Message], tuple[int, str]]:
        """Converse until the provider ends the session; give what was heard, and the close frame that came next."""
        async with self._conversing(play) as (client, messages):
            end = await client.receive()
            assert end.type is aiohttp.WSMsgType.CLOSE, end
            return messages, (end.data, end.extra or "")

    async def leave(self, play: Play, *, good_bye: bool) -> list[Message]:
        """Converse, and leave after the last message that is replied to; give what was heard."""
        async with self._conversing(play) as (client, messages):
            if not good_bye:
                abandon(client)
            return messages

    @asynccontextmanager
    async def _conversing(self, play: Play) -> AsyncIterator[tuple[aiohttp.ClientWebSocketResponse, list[Message]]]:
        recording = play.dialogue.recording
        path, place = (VERTEX_PATH, f"{PLACE}/publishers/google/") if recording.platform == "vertex" else (PATH, "")
        instruction = {"parts": [{"text": play.user}]}
        setup = {"model": f"{place}models/{recording.model or MODEL}", "systemInstruction": instruction}
        self.provider.expect(play)
        async with self.playing:
            await self.served.open(play.user, tokens=TOKENS)
            async with connected(self.served, user=play.user, path=path) as client:
                await client.send_json({"setup": setup})
                messages: list[Message] = []
                for number in range(play.replied):
                    messages.append(await _heard(client))
                    if (reply := play.dialogue.reply(number)) is not None:
                        await client.send_json(reply)
                yield client, messages

    async def booked(self, plays: Iterable[Play]) -> dict[str, Booked]:
        """Wait until the gateway has written everything down, and give what there is of each user."""
        await self.served.gateway.close(30)
        await require_sound(self.served)
        users = [play.user for play in plays]
        records: dict[str, list[dict[str, int]]] = {user: [] for user in users}
        for row in await asked(self.served, _RECORDS, users):
            records[row["user_id"]].append({name: row[name] for name in _COUNTS})
        holds = {row["user_id"]: (row["open"], row["unknown"]) for row in await asked(self.served, _HOLDS, users)}
        return {user: Booked(records[user], *await self.served.used(user), *holds.get(user, (0, 0))) for user in users}


@asynccontextmanager
async def live_stage(
    database_url: str, gemini: FakeGemini, google: TokenEndpoint, directory: Path, **settings: Any
) -> AsyncIterator[LiveStage]:
    """Serve a gateway whose Gemini API and Vertex AI say what was recorded of them."""
    recordings = RecordedProvider()
    async with provider(recordings.script) as url:
        given = {"upstream_url": url, "vertex_url": url, "vertex_credentials": google.key_file(directory)}
        async with vertex_stage(database_url, gemini, **given, **settings) as served:
            yield LiveStage(served, recordings)


async def _heard(client: aiohttp.ClientWebSocketResponse) -> Message:
    message = await client.receive()
    assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
    data: Message = message.data
    return data


def _counts(usage: dict[str, Any]) -> dict[str, int]:
    return {
        "prompt": usage["promptTokenCount"],
        "candidates": usage.get("responseTokenCount", usage.get("candidatesTokenCount", 0)),
        "thoughts": usage.get("thoughtsTokenCount", 0),
        "tool": usage.get("toolUsePromptTokenCount", 0),
        "cached": usage.get("cachedContentTokenCount", 0),
        "total": usage["totalTokenCount"],
    }


def _is_made(message: dict[str, Any]) -> bool:
    content = message.get("serverContent", {})
    made = ("modelTurn", "inputTranscription", "outputTranscription")
    return "toolCall" in message or any(content.get(name) for name in made)


_COUNTS = ("prompt", "candidates", "thoughts", "tool", "cached", "total")
_RECORDS = (
    "SELECT a.user_id, u.prompt, u.candidates, u.thoughts, u.tool, u.cached, u.total"
    " FROM jangbu.usage AS u JOIN jangbu.accounts AS a USING (account_id)"
    " WHERE a.user_id = ANY ($1::text[]) ORDER BY u.id"
)
_HOLDS = (
    "SELECT a.user_id, count(*) FILTER (WHERE h.state = 'open') AS open,"
    " count(*) FILTER (WHERE h.state = 'unknown') AS unknown"
    " FROM jangbu.holds AS h JOIN jangbu.accounts AS a USING (account_id)"
    " WHERE a.user_id = ANY ($1::text[]) GROUP BY a.user_id"
)
