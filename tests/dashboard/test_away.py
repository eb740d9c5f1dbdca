"""The pages while the database is away: they say so, tell nothing else of it, and go on when it is back."""

import asyncio
from pathlib import Path

from jangbu.config import Settings
from jangbu.dashboard.rendered import HEADERS
from jangbu.storage import migrate
from jangbu.wiring import open_metering
from tests.dashboard.raw import signed_in
from tests.dashboard.site import OWNER, PASSWORD, let_in_members, serving
from tests.faults.server import killable_server

TEXTS = {"en": "The database does not answer at the moment.", "ko": "지금 데이터베이스가 응답하지 않습니다."}


async def prepared(dsn: str) -> None:
    await migrate.upgrade(dsn)
    async with open_metering(Settings.load(database_url=dsn), delivers=False) as ledger:
        await ledger.accounts.create("kim")
        await let_in_members(ledger)


def test_pages_say_that_the_database_is_away_and_nothing_more_of_it(tmp_path: Path) -> None:
    with killable_server() as server:
        asyncio.run(prepared(server.dsn))
        with serving(server.dsn, tmp_path) as site:
            owner = signed_in(site, OWNER)
            server.crash()
            grant = {"user": "kim", "amount": "5", "key": "away"}
            for language, text in TEXTS.items():
                for answer in (
                    owner.get("/", accept_language=language),
                    owner.get("/sign-in", accept_language=language),
                    owner.get("/set-up?token=x", accept_language=language),
                    owner.send("/user/grant", grant, accept_language=language),
                    owner.send("/sign-in", {"name": OWNER, "password": PASSWORD}, accept_language=language),
                    owner.send("/sign-out", {}, accept_language=language),
                ):
                    assert answer.status == 503
                    assert text in answer.text
                    assert {name: answer.headers[name] for name in HEADERS} == dict(HEADERS)
                    for telling in ("PGSQL", "JANGBU_", "Errno", "Traceback", str(tmp_path), server.dsn):
                        assert telling not in answer.text
            server.start()
            assert owner.get("/user?user=kim").status == 200, "who was signed in still is"
            assert owner.send("/user/grant", grant).leads_to == "/dashboard/user?user=kim&notice=granted"
