"""What is done to a process before it begins: its disk, its clock, its point, and the marks on what it sends."""

import random
import resource
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from jangbu.clock import SystemClock
from jangbu.config import Settings
from jangbu.domain.flow import Call
from jangbu.gateway.calls import MeteredCall
from jangbu.gateway.upstream import Outgoing, Upstream, UpstreamAnswer
from jangbu.sdk.drivers import CallInProgress
from tests.torture.plan import Disk, Life
from tests.torture.points import arm
from tests.torture.terms import CALL_HEADER, LIFE_HEADER, USER_HEADER, Terms
from tests.torture.words import Say

__all__ = ["mark_calls", "marks_of_thread", "prepare", "settings_of"]

_FULL_BYTES = 16_384
_TINY_BYTES = 65_536

_sending = threading.local()
_number = 0
"""Whose life this process is."""


def mark_calls() -> None:
    """Have each call say which one it is: once, before there are processes."""
    _mark_sdk_calls()
    _mark_gateway_calls()


def prepare(life: Life, say: Say) -> None:
    """Make this process the one that the plan says."""
    global _number  # noqa: PLW0603 - a process has one life
    _number = life.number
    _limit_disk(life.disk)
    _jump(life)
    if life.point is not None:
        arm(life.point, life.passes, random.Random(life.seed), say)


def settings_of(life: Life, terms: Terms) -> Settings:
    """Give the settings of a process."""
    given = dict(terms.settings(life.number))
    if life.disk is Disk.TINY:
        given["spool_bytes_max"] = _TINY_BYTES
    given["spool_every_record"] = life.number % 3 == 0
    return Settings.load(**given)


def marks_of_thread() -> dict[str, str]:
    """Give the headers of the call that this thread sends now, once; none for what is no metered call."""
    call, _sending.call = getattr(_sending, "call", None), None
    if call is None:
        return {}
    return _marks(call)


def _limit_disk(disk: Disk) -> None:
    """Limit how large a file of this process may be, which the kernel does as a full disk would."""
    if disk is Disk.AMPLE:
        return
    most = _FULL_BYTES if disk is Disk.FULL else _TINY_BYTES
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))


def _jump(life: Life) -> None:
    """Have the wall clock of this process jump; that of the database, and the one that measures waiting, go on."""
    if not life.jumps:
        return
    born, real = time.monotonic(), SystemClock.now

    def now(self: SystemClock) -> datetime:
        age = time.monotonic() - born
        return real(self) + timedelta(seconds=sum(by for after, by in life.jumps if age >= after))

    SystemClock.now = now  # type: ignore[method-assign]


def _mark_sdk_calls() -> None:
    """Remember which call a thread sends now."""
    sending = CallInProgress.sending

    def marked(self: CallInProgress) -> None:
        sending(self)
        _sending.call = self.call

    CallInProgress.sending = marked  # type: ignore[method-assign]


def _mark_gateway_calls() -> None:
    """Have the gateway's requests say which call they are of."""
    send = Upstream.send

    async def marked(self: Upstream, outgoing: Outgoing, **options: Any) -> UpstreamAnswer:
        metered = getattr(outgoing.leaving, "__self__", None)
        if isinstance(metered, MeteredCall):
            headers = [(name.encode(), value.encode()) for name, value in _marks(metered.call).items()]
            outgoing = replace(outgoing, headers=(*outgoing.headers, *headers))
        return await send(self, outgoing, **options)

    Upstream.send = marked  # type: ignore[method-assign]


def _marks(call: Call) -> dict[str, str]:
    return {CALL_HEADER: str(call.id), USER_HEADER: call.user, LIFE_HEADER: str(_number)}
