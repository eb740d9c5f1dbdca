"""Files of pages whose reader leaves before they begin: what is read for them ends, and nobody is told of an error."""

import asyncio
import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import asyncpg

from jangbu.dashboard.frame import COOKIE
from jangbu.dashboard.look import PREFIX
from jangbu.domain.members import MemberRole
from tests.dashboard.raw import signed_in
from tests.dashboard.site import USERS, Site

_AT_ONCE = 8
_WAITING = """
SELECT count(*)
FROM pg_locks AS l
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE NOT l.granted AND a.query LIKE '%w.account_id, u.id, jangbu.uuid7_time(u.id)%'
"""


def test_files_that_are_given_up_before_they_begin_leave_room_for_others(site: Site) -> None:
    visitor = signed_in(site, MemberRole.OWNER.value)
    path = f"/user/calls.csv?user={USERS[0]}"
    assert visitor.get(path).status == 200
    before = site.log.read_text()
    asyncio.run(_given_up(site, f"GET {PREFIX}{path} HTTP/1.1\r\n", f"cookie: {COOKIE}={visitor.token}\r\n\r\n"))
    assert visitor.get(path).status == 200
    told = site.log.read_text().removeprefix(before)
    # What goes on beside may fail of the lock, and says so in words of its own.
    assert [words for words in ("a page failed", "Exception in ASGI application") if words in told] == []


async def _given_up(site: Site, first: str, last: str) -> None:
    """Ask for a file as often as may be at once, and leave while the database is asked for it."""
    place = urlsplit(site.url)
    # Within a transaction what others do is shown as it was at first: so another connection looks.
    locking, looking = [await asyncpg.connect(site.database_url) for _ in range(2)]
    async with locking.transaction():
        await locking.execute("LOCK TABLE jangbu.models IN ACCESS EXCLUSIVE MODE")
        with ExitStack() as leaving:
            for _ in range(_AT_ONCE):
                asking = socket.create_connection((place.hostname or "", place.port or 80), timeout=10)
                leaving.enter_context(asking).sendall(f"{first}host: {place.netloc}\r\n{last}".encode())
            await _until(looking, some=True)
        await _until(looking, some=False)
    await locking.close()
    await looking.close()


async def _until(looking: "asyncpg.Connection", *, some: bool) -> None:
    async with asyncio.timeout(10):
        while bool(await looking.fetchval(_WAITING)) != some:  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.01)
