"""Where processes are born: one that has loaded everything and opened nothing forks each of them.

It reads a life a line, forks and kills, and tells who was born and how each one ended. Whoever dies takes those that
they brought up with them.
"""

import gc
import heapq
import logging
import os
import select
import signal
import socket
import sys
import time
import traceback

from tests.torture import gateway_worker, guide_worker, points, sdk_worker
from tests.torture.body import mark_calls
from tests.torture.mutants import MUTANTS
from tests.torture.orphans import die_with_parent
from tests.torture.plan import Kind, Life
from tests.torture.terms import Terms
from tests.torture.words import Say

__all__ = ["LISTENERS"]

LISTENERS = 2
"""How many gateways serve at once."""
_TURN_SECONDS = 0.01


class Nursery:
    """Forks what it is told, and looks after it."""

    def __init__(self, terms: Terms, voice: int, listeners: list[socket.socket]) -> None:
        self._terms = terms
        self._voice = voice
        self._listeners = listeners
        self._client = sdk_worker.made_client(terms.gemini_url)
        self._lives: dict[int, Life] = {}
        self._ends: list[tuple[float, int]] = []
        self._rest = b""

    def run(self, orders: int) -> None:
        """Go on until nobody gives orders any more, then kill everybody."""
        while True:
            readable, _, _ = select.select([orders], [], [], _TURN_SECONDS)
            if readable:
                data = os.read(orders, 65_536)
                if not data:
                    break
                *lines, self._rest = (self._rest + data).split(b"\n")
                for line in lines:
                    self._order(line)
            self._end_those_whose_time_is_up()
            self._reap()
        self._kill_all()

    def _order(self, line: bytes) -> None:
        if line == b"end":
            for pid in self._lives:
                os.kill(pid, signal.SIGKILL)
            return
        life = Life.read(line)
        say = Say(self._voice, life.number)
        pid = os.fork()
        if not pid:
            self._live(life, say)
        self._lives[pid] = life
        heapq.heappush(self._ends, (time.monotonic() + life.ends_after, pid))

    def _live(self, life: Life, say: Say) -> None:
        """Live, in the new process. Nobody ends well: who comes here back failed by themselves."""
        try:
            die_with_parent()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            match life.kind:
                case Kind.SDK:
                    sdk_worker.live(life, self._terms, self._client, say)
                case Kind.GATEWAY:
                    gateway_worker.live(life, self._terms, self._listeners[life.listener], say)
                case Kind.GUIDE:
                    guide_worker.live(life, self._terms, self._client, say)
        except BaseException:
            say("failed", what=traceback.format_exc()[-2_000:])
        finally:
            os._exit(1)

    def _end_those_whose_time_is_up(self) -> None:
        now = time.monotonic()
        while self._ends and self._ends[0][0] <= now:
            _, pid = heapq.heappop(self._ends)
            if pid in self._lives:
                os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        while self._lives:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            life = self._lives.pop(pid)
            Say(self._voice, life.number)("ended", killed=os.waitstatus_to_exitcode(status) == -signal.SIGKILL)

    def _kill_all(self) -> None:
        for pid in self._lives:
            os.kill(pid, signal.SIGKILL)
        for pid in self._lives:
            os.waitpid(pid, 0)


def main() -> None:
    """Read orders from standard input; the arguments are the terms, the pipe to speak through, and the sockets."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    given, voice, *sockets = sys.argv[1:]
    terms = Terms.read(given)
    logging.disable(logging.CRITICAL)
    points.check()
    if terms.mutant:
        MUTANTS[terms.mutant]()
    if terms.has_ledger:
        mark_calls()
        sdk_worker.warm_up(terms)
    nursery = Nursery(terms, int(voice), [socket.socket(fileno=int(number)) for number in sockets])
    gc.collect()
    gc.freeze()
    Say(int(voice), 0)("nursery")
    nursery.run(0)


if __name__ == "__main__":
    main()
