"""Verifications over HTTP: begun once, one at a time, and read with what they found, whoever asks for it."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg

from jangbu.domain.keys import Role
from jangbu.metering.verification_runs import VerificationRuns
from jangbu.storage import verification_runs
from tests.api.rest.stage import Stage, record, stage
from tests.conftest import execute


async def ended(api: Stage, run: str) -> Any:
    """Wait for a verification; give it as it is shown then."""
    for _ in range(600):
        shown = (await api.get(f"/verification/{run}", key=Role.VIEWER)).ok
        if shown["state"] != "running":
            return shown
        await asyncio.sleep(0.05)
    raise AssertionError("the verification does not end")


async def test_an_honest_book_is_verified_whole(api: Stage) -> None:
    await api.post("/records", record())
    started = await api.post("/verification", {}, key=Role.FINANCE, once="verify-1")
    assert (started.status, started.ok["is_full"], started.ok["replayed"]) == (202, True, False)
    shown = await ended(api, started.ok["id"])
    assert (shown["state"], shown["ok"], shown["failure"]) == ("ended", True, None)
    assert (shown["accounts"], shown["records"], shown["mismatches"], shown["cut"]) == (2, 1, [], [])
    assert {"balances", "cost", "counts", "chain"} <= set(shown["checked"])
    again = await api.post("/verification", {}, key=Role.FINANCE, once="verify-1")
    assert (again.status, again.ok["id"], again.ok["replayed"]) == (200, shown["id"], True)
    assert (again.ok["state"], again.ok["ok"]) == ("ended", True)
    assert (await api.post("/verification", {"full": False}, once="verify-1")).code == "idempotency_conflict"
    assert (await api.get("/verification")).ok["ok"] is True


async def test_what_differs_is_shown_figure_by_figure(api: Stage, database_url: str) -> None:
    await execute(database_url, "UPDATE jangbu.balances SET granted = granted + 1 WHERE asset = 1")
    started = (await api.post("/verification", {"full": True})).ok
    shown = await ended(api, started["id"])
    assert (shown["state"], shown["ok"]) == ("ended", False)
    assert {(each["user"], each["expected"], each["found"]) for each in shown["mismatches"]} == {
        ("kim", 1_000_000, 1_000_001),
        ("이서연", 1_000_000, 1_000_001),
    }
    assert (await api.get("/verification")).ok["verification"]["mismatches"] == len(shown["mismatches"])


async def test_one_is_under_way_at_a_time_and_one_whose_process_died_is_lost(api: Stage, database_url: str) -> None:
    orders = await asyncio.gather(*(api.post("/verification", {}) for _ in range(8)))
    started = [each for each in orders if each.status == 202]
    assert {each.code for each in orders if each.status != 202} <= {"still_running"}
    assert started
    for each in started:
        assert (await ended(api, each.ok["id"]))["state"] == "ended"
    left = await left_behind(database_url)
    assert await verification_runs.keep(api.ledger.database, UUID(left), seconds=60)
    refused = await api.post("/verification", {}, once="meanwhile")
    assert (refused.status, refused.code) == (409, "still_running")
    await execute(database_url, "UPDATE jangbu.verification_runs SET runs_until = now() WHERE ended_at IS NULL")
    lost = (await api.get(f"/verification/{left}")).ok
    assert (lost["state"], lost["failure"], lost["ok"]) == ("failed", "lost", None)
    assert (await api.post("/verification", {}, once="meanwhile")).status == 202
    assert not await verification_runs.keep(api.ledger.database, UUID(left), seconds=60)


async def left_behind(database_url: str) -> str:
    """Write a verification down as a process does that dies right after; give its id."""
    connection = await asyncpg.connect(database_url)
    try:
        return str(
            await connection.fetchval(
                "INSERT INTO jangbu.verification_runs (id, project, is_full, runs_until) "
                "VALUES (gen_random_uuid(), 'default', true, now() + interval '1 hour') RETURNING id"
            )
        )
    finally:
        await connection.close()


async def test_one_is_begun_once_for_its_key_however_many_ask_at_once(api: Stage) -> None:
    orders = await asyncio.gather(*(api.post("/verification", {}, once="race") for _ in range(10)))
    assert sorted(each.status for each in orders) == [200] * 9 + [202]
    assert len({each.ok["id"] for each in orders}) == 1


async def test_a_server_that_stops_leaves_none_under_way(api: Stage, database_url: str) -> None:
    busy = await asyncpg.connect(database_url)
    async with busy.transaction():
        await busy.execute("LOCK TABLE jangbu.balances IN ACCESS EXCLUSIVE MODE")
        runs = VerificationRuns(api.ledger, "default")
        run, _ = await runs.begin(is_full=True, key="stopped")
        await runs.close()
    await busy.close()
    shown = (await api.get(f"/verification/{run.id}")).ok
    assert (shown["state"], shown["failure"]) == ("failed", "stopped")


async def test_another_projects_verification_does_not_exist(api: Stage, database_url: str) -> None:
    made = (await api.post("/verification", {})).ok
    async with stage(database_url, project="other") as other:
        assert (await other.get(f"/verification/{made['id']}")).code == "not_found"
        assert (await other.post("/verification", {})).status == 202
    assert (await api.get("/verification/0192f3a0-0000-7000-8000-000000000001")).code == "not_found"
    assert (await api.get("/verification/latest")).code == "invalid_input"
    assert (await api.post("/verification", {"full": 1})).code == "invalid_input"
