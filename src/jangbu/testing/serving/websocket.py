"""Live on an upgraded connection: websockets' protocol without its sockets, on the stream that HTTP came in on."""

import asyncio
import json
from dataclasses import dataclass, replace

from websockets.frames import Frame, Opcode
from websockets.http11 import Request as UpgradeRequest
from websockets.protocol import State
from websockets.server import ServerProtocol

from jangbu.testing.answering import Answering
from jangbu.testing.behaviours import Behaviour
from jangbu.testing.composing.failure import Failure
from jangbu.testing.surfaces.exchange import Exchange, Reply, encode
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
            self.answering.answer(self.exchange, Reply((), failure.status), reported=None, complete=True)
            protocol.send_close(POLICY_VIOLATION, (failure.message or f"refused with {failure.status}")[:100])
        except (KeyError, TypeError, ValueError, AttributeError) as failure:
            protocol.send_close(INTERNAL_ERROR, f"{failure!r}"[:100])
        await self._flush(protocol)

    async def _converse(self, protocol: ServerProtocol) -> None:
        session = LiveSession(self.exchange.route.vertex, self.answering.ids, self._behave)
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
                    await self._say(protocol, session, list(session.receive(message)))
            await self._flush(protocol)

    async def _say(self, protocol: ServerProtocol, session: LiveSession, messages: list[LiveMessage]) -> None:
        """Send messages; the line of a turn is written before its last one, or where the turn is cut."""
        behaviour = self.exchange.behaviour
        for number, message in enumerate(messages):
            if number == behaviour.cut:
                self._log_turn(session, replace(messages[-1], usage=None), complete=False)
                self.writer.transport.abort()
                raise ConnectionAbortedError
            if behaviour.chunk_delay and number:
                await asyncio.sleep(behaviour.chunk_delay)
            if message.counted is not None:
                self._log_turn(session, message, complete=not (self.writer.is_closing() or self.reader.at_eof()))
            protocol.send_binary(encode(message.body))
            await self._flush(protocol)

    def _log_turn(self, session: LiveSession, message: LiveMessage, *, complete: bool) -> None:
        reply = Reply((), status=101, model=session.model, counted=message.counted)
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
