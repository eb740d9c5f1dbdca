"""What the server writes to standard error while it works: a line for each request, and what its parts log.

A thread writes, from a bounded store, so that a reader of standard error who is slow, or who never comes, holds no
call up: then lines are dropped, and their number is told with the next one that is written.

Nothing of a credential may be in a line. Requests are told by their verb and never by their path or query; what other
parts log is searched for secrets, known ones and what looks like one.
"""

import asyncio
import json
import logging
import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

from pydantic import SecretStr

from jangbu import telemetry
from jangbu.api.requests import current_id
from jangbu.cli.money import counted
from jangbu.cli.output import one_line
from jangbu.config import Settings
from jangbu.errors import JangbuError

__all__ = ["LogFormat", "log_format", "logging_as_set", "logging_to_stderr"]

LogFormat = Literal["json", "text", "off"]

_LINES_MAX = 10_000
_CLOSE_SECONDS = 1
_RETRY_SECONDS = 0.05
_GATHER_SECONDS = 0.02
"""For how long lines gather before they are written: to wake the thread for each would take the calls' own time."""
_PIECE_BYTES = 4_096
_PROBES = frozenset({"healthz", "readyz", "metrics"})
_SECRETS = re.compile(
    r"""jb[au]_[0-9A-Za-z]{20,}        # keys of the gateway
    | AIza[0-9A-Za-z_-]{20,}          # keys of the provider
    | ya29\.[0-9A-Za-z._-]{20,}       # tokens of the provider
    | (?<=[?&]key=)[^&\s"']+
    | (?<=[?&]token=)[^&\s"']+        # links by which members choose passwords
    | (?<=[?&]code=)[^&\s"']+         # what a provider of identities sends back
    | (?<=bearer\s)[^\s"']+
    | (?<=://)[^/\s:@"']*:[^/\s@"']+(?=@)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_REDACTED = "***"
_TOLD_BY_ITS_REQUEST = (
    "ASGI callable returned without completing response.",
    "Cancel %s running task(s), timeout graceful shutdown exceeded",
)
"""What uvicorn says of an answer that is broken off on purpose, and of all that are when serving ends, also where none
is: the request's own line says it, too.
"""

_TOLD_BY_US = "stamina"
"""Who logs each repetition without a word of what is repeated; our own events tell both."""

Facts = Mapping[str, Any]
Line = str | Callable[[], str]


def log_format(chosen: LogFormat | None) -> LogFormat:
    """Give the format that was chosen; else text where a person looks on, and JSON for everybody else."""
    if chosen is not None:
        return chosen
    return "text" if sys.stderr is not None and sys.stderr.isatty() else "json"


@contextmanager
def logging_as_set(settings: Settings) -> Iterator[None]:
    """Log in the format that the settings name; their secrets are never shown."""
    keys = "" if settings.upstream_keys is None else settings.upstream_keys.get_secret_value()
    secrets = [part.strip().rpartition("=")[0] or part.strip() for part in keys.split(",")]
    urls = "" if settings.alert_urls is None else settings.alert_urls.get_secret_value()
    secrets += urls.split()
    # Whatever is declared as a secret is one here, too, without being named once more.
    secrets += [value.get_secret_value() for _, value in settings if isinstance(value, SecretStr)]
    with logging_to_stderr(log_format(settings.log_format), secrets):
        yield


@contextmanager
def logging_to_stderr(form: LogFormat, secrets: Iterable[str] = ()) -> Iterator[None]:
    """Log requests, and what is logged by any part at WARNING or above, until the context ends."""
    if sys.stderr is None or form == "off":
        yield
        return
    written = _text if form == "text" else json.JSONEncoder(ensure_ascii=False).encode
    redact = _Redaction(secrets)
    writer = _Writer(sys.stderr.fileno())

    handler = _Handler(lambda facts: writer.put(redact(written({"time": _shown(time.time()), **facts}))))
    root = logging.getLogger()
    root.addHandler(handler)

    def ended(_event: str, facts: Facts) -> None:
        # Nothing in the line of a request is a client's own text, so there is nothing to search it for.
        if _is_worth_a_line(facts):
            writer.put(partial(_request_line, written, time.time(), facts))

    unsubscribe = telemetry.subscribe(ended, "request.ended")
    try:
        yield
    finally:
        unsubscribe()
        root.removeHandler(handler)
        writer.close()


def _is_worth_a_line(facts: Facts) -> bool:
    """Tell whether a request is to be told of: that a probe found all well is not."""
    return facts["verb"] not in _PROBES or facts["status"] >= 500


def _request_line(written: Callable[[Facts], str], ended: float, facts: Facts) -> str:
    """Write the line of a request that ended then."""
    shown = {
        "time": _shown(ended),
        "level": "error" if facts["status"] >= 500 else "info",
        "event": "request",
        "request_id": facts["request_id"],
        "method": facts["method"],
        "verb": facts["verb"],
        "status": facts["status"],
        "seconds": round(facts["seconds"], 4),
        "added_seconds": None if facts["added_seconds"] is None else round(facts["added_seconds"], 4),
        "tokens": facts["tokens"],
        "code": facts["code"],
        "broken_off": None if facts["is_whole"] else True,
    }
    return written({name: value for name, value in shown.items() if value is not None})


class _Handler(logging.Handler):
    """Writes what is logged as one line."""

    def __init__(self, write: Callable[[Facts], None]) -> None:
        super().__init__(logging.WARNING)
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless the line of its request tells it."""
        if record.name == _TOLD_BY_US:
            return
        is_told = record.exc_info and isinstance(record.exc_info[1], JangbuError | asyncio.CancelledError)
        if is_told or record.msg in _TOLD_BY_ITS_REQUEST:
            return
        try:
            facts = {
                "level": record.levelname.lower(),
                "event": "log",
                "logger": record.name,
                "message": record.getMessage(),
            }
            if request_id := current_id():
                facts["request_id"] = request_id
            if record.exc_info:
                facts["exception"] = logging.Formatter().formatException(record.exc_info)
            self._write(facts)
        except Exception:
            self.handleError(record)


class _Redaction:
    """Takes out of a text what opens doors."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = sorted({secret for secret in secrets if len(secret) >= 6}, key=len, reverse=True)
        self._known = re.compile("|".join(re.escape(secret) for secret in known)) if known else None

    def __call__(self, text: str) -> str:
        """Give the text with stars in the places of secrets."""
        if self._known is not None:
            text = self._known.sub(_REDACTED, text)
        return _SECRETS.sub(_REDACTED, text)


class _Writer:
    """Writes lines in a thread of its own; a line for which there is no room is dropped.

    A line may come as what makes it: made many at once, in the thread, lines take less time from the calls.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: deque[Line] = deque()
        self._dropped = 0
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="jangbu-log", daemon=True)
        self._thread.start()

    def put(self, line: Line) -> None:
        """Have a line written soon. Never waits."""
        if len(self._lines) >= _LINES_MAX:
            self._dropped += 1
            return
        self._lines.append(line)
        if not self._wake.is_set():
            self._wake.set()

    def close(self) -> None:
        """Write what waits; where nobody reads it, for a moment only."""
        self._closing = True
        self._wake.set()
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            if not self._closing:
                time.sleep(_GATHER_SECONDS)
            self._wake.clear()
            while self._lines:
                taken = [self._lines.popleft() for _ in range(len(self._lines))]
                waiting = [line if isinstance(line, str) else line() for line in taken]
                if self._dropped:
                    waiting.append(json.dumps({"event": "log", "level": "warning", "dropped_lines": self._dropped}))
                    self._dropped = 0
                if not all(self._write(block) for block in _blocks(waiting)):
                    return
            if self._closing:
                return

    def _write(self, content: bytes) -> bool:
        while content:
            try:
                content = content[os.write(self._descriptor, content) :]
            except BlockingIOError:
                time.sleep(_RETRY_SECONDS)
            except OSError:
                return False
        return True


def _blocks(lines: Iterable[str]) -> Iterator[bytes]:
    """Put lines together into what a pipe takes in one piece, so that those of several processes do not mix."""
    block = b""
    for line in lines:
        more = f"{line}\n".encode("utf-8", "backslashreplace")
        if block and len(block) + len(more) > _PIECE_BYTES:
            yield block
            block = b""
        block += more
    yield block


def _text(facts: Facts) -> str:
    """Give the line for people: ``2027-01-31T09:00:00.000Z POST generateContent 200 0.214 s, 450 tokens, id 4f…``."""
    if facts["event"] == "log":
        exception = f"\n{facts['exception']}" if "exception" in facts else ""
        return f"{facts['time']} {facts['level']} {facts['logger']}: {one_line(facts['message'])}{exception}"
    parts = [f"{facts['seconds']:.3f} s"]
    if "tokens" in facts:
        parts.append(counted(facts["tokens"], "token"))
    if "code" in facts:
        parts.append(facts["code"])
    if "broken_off" in facts:
        parts.append("broken off")
    parts.append(f"id {facts['request_id']}")
    return f"{facts['time']} {facts['method']} {facts['verb']} {facts['status']} {', '.join(parts)}"


def _shown(seconds: float) -> str:
    """Write a moment of the clock."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
