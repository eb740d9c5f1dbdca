"""The fake Gemini, running in a thread of its own beside the test that uses it."""

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from jangbu.clock import Clock
from jangbu.errors import JangbuError
from jangbu.testing.answer_log import Answer, AnswerLog
from jangbu.testing.answering import Answering, LoggedHeaders
from jangbu.testing.behaviours import Behaviour, Behaviours, as_behaviour
from jangbu.testing.serving.server import Address, Server
from jangbu.testing.surfaces.exchange import Request

__all__ = ["FakeGemini"]

PATIENCE_SECONDS = 30.0


@dataclass(kw_only=True, eq=False)
class FakeGemini:
    """A server that speaks Gemini's protocol on 127.0.0.1, with counts that a test can work out.

    >>> with FakeGemini() as gemini:
    ...     gemini.url.startswith("http://127.0.0.1:")
    True

    ``log`` is a file for the answers (memory where none is given), ``sync`` has each line reach the disk.
    ``behaviour`` treats every request that nothing else is said of. ``api_key`` is the only key let in, where given.
    ``label_headers`` are request headers kept as labels. With ``tls``, trust ``certificate`` (SSL_CERT_FILE).
    """

    log: Path | None = None
    sync: bool = False
    host: str = "127.0.0.1"
    port: int = 0
    tls: bool = False
    gzip: bool = False
    chunk_delay: float = 0.0
    behaviour: Behaviour | str = ""
    api_key: str | None = None
    user_header: str = "x-jangbu-user"
    label_headers: tuple[str, ...] = ()
    clock: Clock | None = None
    url: str = field(default="", init=False)
    certificate: Path | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        self._server = Server(self._answering(), self._address(), gzip=self.gzip, chunk_delay=self.chunk_delay)
        started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(started.set,), name="fake-gemini", daemon=True)
        self._thread.start()
        started.wait(PATIENCE_SECONDS)
        if self._failure is not None:
            raise JangbuError(f"the fake Gemini cannot listen: {self._failure}") from self._failure
        self.url = self._server.url
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(PATIENCE_SECONDS)
        self._answers.close()
        if self.certificate is not None:
            self.certificate.unlink(missing_ok=True)

    def next(self, behaviour: Behaviour | str, times: int = 1) -> None:
        """Treat the next requests this way, in the order in which they were told."""
        self._behaviours.enqueue(behaviour, times)

    def when(self, behaviour: Behaviour | str, *, model: str = "", path: str = "") -> None:
        """Treat all requests this way whose model begins with ``model`` and whose path contains ``path``."""
        self._behaviours.add_rule(behaviour, model=model, path=path)

    def forget_behaviours(self) -> None:
        """Answer well again: empty the queue and the rules."""
        self._behaviours.clear()

    def answers(self) -> list[Answer]:
        """Give what was answered so far, in order: the ground truth."""
        return self._answers.answers()

    def wait_for_answers(self, number: int) -> list[Answer]:
        """Wait until so many answers are in the log (a client that leaves early does not see its line written)."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(answers := self.answers()) < number:
            if time.monotonic() > deadline:
                raise JangbuError(f"the fake Gemini gave {len(answers)} answers, not {number}")
            time.sleep(0.01)
        return answers

    def requests(self) -> list[Request]:
        """Give the latest requests as they arrived, at most 200."""
        return list(self._server.requests)

    def _answering(self) -> Answering:
        self._answers = AnswerLog(self.log, sync=self.sync)
        self._behaviours = Behaviours(as_behaviour(self.behaviour))
        headers = LoggedHeaders(self.user_header, self.label_headers)
        return Answering(self._behaviours, self._answers, clock=self.clock, headers=headers, api_key=self.api_key)

    def _address(self) -> Address:
        if not self.tls:
            return Address(self.host, self.port)
        from jangbu.testing.serving.tls import self_signed

        context, certificate = self_signed(self.host)
        with tempfile.NamedTemporaryFile(prefix="fake-gemini-", suffix=".pem", delete=False) as file:
            file.write(certificate)
        self.certificate = Path(file.name)
        return Address(self.host, self.port, context)

    def _run(self, started: Callable[[], None]) -> None:
        try:
            asyncio.run(self._serve(started))
        except (OSError, OverflowError) as failure:
            self._failure = failure
        finally:
            started()

    async def _serve(self, started: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        await self._server.start()
        started()
        await self._stopping.wait()
        await self._server.stop()
