"""Live on an upgraded connection: websockets' protocol without its sockets, on the stream that HTTP came in on."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from websockets.frames import Frame, Opcode
from websockets.http11 import Request as UpgradeRequest
from websockets.protocol import State
from websockets.server import ServerProtocol

from jangbu.testing.answering import Answering
from jangbu.testing.behaviours import Behaviour, Recorded
from jangbu.testing.surfaces.exchange import Exchange, Reply, encode
from jangbu.testing.surfaces.failures import Failure
from jangbu.testing.surfaces.live import LiveMessage, LiveSession

__all__ = ["LiveConnection"]

MESSAGE_MOST = 64 * 1024 * 1024
"""The longest message of a client, in bytes: an hour of speech."""
POLICY_VIOLATION, INTERNAL_ERROR = 1008, 1011


@dataclass(slots=True)
class LiveConnection:
    """One Live session on its socket."""

    answering: Answering
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    exchange: Exchange

    async def run(self) -> None:
        """Upgrade, then answer messages until either side ends the session."""
        protocol = ServerProtocol(max_size=MESSAGE_MOST)
        protocol.receive_data(self.exchange.request.head)
        for event in protocol.events_received():
            if isinstance(event, UpgradeRequest):
                protocol.send_response(protocol.accept(event))
        await self._flush(protocol)
        if protocol.state is not State.OPEN:
            return
        try:
            self.answering.check_key(self.exchange.request, self.exchange.route)
            await self._converse(protocol)
        except Failure as failure:
            protocol.send_close(POLICY_VIOLATION, failure.message)
        except (KeyError, TypeError, ValueError, AttributeError) as failure:
            protocol.send_close(INTERNAL_ERROR, f"{failure!r}"[:100])
        await self._flush(protocol)

    async def _converse(self, protocol: ServerProtocol) -> None:
        session = LiveSession(self.exchange.route.vertex, self.answering.ids, self._behave)
        recorded = self.exchange.behaviour.recorded
        text = bytearray()
        while protocol.state is State.OPEN:
            data = await self.reader.read(65536)
            if not data:
                return
            protocol.receive_data(data)
            for event in protocol.events_received():
                if not isinstance(event, Frame) or event.opcode not in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
                    continue
                text += event.data
                if event.fin:
                    message = json.loads(bytes(text))
                    text.clear()
                    answers = session.receive(message) if recorded is None else _recorded_messages(recorded)
                    await self._say(protocol, session, answers)
            await self._flush(protocol)

    async def _say(self, protocol: ServerProtocol, session: LiveSession, messages: Iterator[LiveMessage]) -> None:
        delay = self.exchange.behaviour.chunk_delay or 0.0
        for number, message in enumerate(messages):
            if delay and number:
                await asyncio.sleep(delay)
            if message.counted is not None:
                self._log_turn(session, message)
            protocol.send_binary(encode(message.body))
            await self._flush(protocol)

    def _log_turn(self, session: LiveSession, message: LiveMessage) -> None:
        """Write the line of a turn before its last message; a session has one line for each."""
        reply = Reply((), status=101, model=session.model, counted=message.counted)
        complete = not (self.writer.is_closing() or self.reader.at_eof())
        self.answering.answer(self.exchange, reply, reported=message.usage, complete=complete)

    def _behave(self, model: str) -> Behaviour:
        """Treat a turn as the upgrade's header says, else as the queue and the rules do."""
        chosen = self.answering.behaviours.choose(
            header=self.exchange.request.headers.get("x-fake-behaviour"),
            model=model,
            path=self.exchange.request.path,
        )
        self.exchange = replace(self.exchange, behaviour=chosen)
        return chosen

    async def _flush(self, protocol: ServerProtocol) -> None:
        data = b"".join(protocol.data_to_send())
        if data:
            self.writer.write(data)
            await self.writer.drain()


def _recorded_messages(recorded: Recorded) -> Iterator[LiveMessage]:
    """Give the server's messages of a recorded session, all at the client's first message."""
    messages: list[dict[str, Any]] = json.loads(recorded.body)
    for message in messages:
        usage = message.get("usageMetadata")
        yield LiveMessage(message, usage, usage)
