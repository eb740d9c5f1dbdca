"""A migration that dies at a statement of one's choice: ``python -m tests.storage.killed_migration DSN``.

For each line on standard input, ``client N`` or ``server N``, a process of its own upgrades the database and dies at
its Nth statement: itself by kill -9 with the statement under way, or its session by the server. One line of output
tells how it ended; one that has no Nth statement ends well.
"""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg

from jangbu.errors import JangbuError
from jangbu.storage import migrate

_OPAQUE = re.compile(r"--[^\n]*|'(?:[^']|'')*'|(\$\w*\$).*?\1", re.DOTALL)
_execute = asyncpg.Connection.execute


def statements(text: str) -> Iterator[str]:
    """Split SQL at the semicolons that end statements, not at those in bodies, texts and comments."""
    hidden = _OPAQUE.sub(lambda found: "x" * len(found[0]), text)
    begin = 0
    for end in [*(found.end() for found in re.finditer(";", hidden)), len(text)]:
        if hidden[begin:end].strip("x \n;"):
            yield text[begin:end]
        begin = end


@dataclass
class _Doom:
    """Sends one statement after another, and knows at which it dies."""

    by: str
    last: int
    sent: int = 0

    async def execute(self, connection: Any, query: str, *arguments: Any, **options: Any) -> str:
        status = ""
        for each in statements(query):
            self.sent += 1
            if self.sent == self.last:
                await self._die(connection, each)
            status = await _execute(connection, each, *arguments, **options)
        return status

    async def _die(self, connection: Any, under_way: str) -> None:
        if self.by == "server":
            await _execute(connection, "SELECT pg_terminate_backend(pg_backend_pid())")
        sending = asyncio.ensure_future(_execute(connection, under_way))
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGKILL)
        await sending


def _upgrade(dsn: str, by: str, last: int) -> int:
    doom = _Doom(by, last)

    async def execute(connection: Any, query: str, *arguments: Any, **options: Any) -> str:
        return await doom.execute(connection, query, *arguments, **options)

    asyncpg.Connection.execute = execute
    try:
        asyncio.run(migrate.upgrade(dsn))
    except (JangbuError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return 1
    return 0


def main() -> None:
    """Take orders until there are no more."""
    # What each process would import is there before it begins.
    migrate.upgrade_sql()
    for line in sys.stdin:
        by, number = line.split()
        child = os.fork()
        if child == 0:
            os._exit(_upgrade(sys.argv[1], by, int(number)))
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        sys.stdout.write(("killed" if killed else ("ended", "refused")[os.waitstatus_to_exitcode(status)]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
