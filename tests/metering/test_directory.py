"""The list of users: every order, page after page, is that of the balances, whether they are listed yet or not."""

import random
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from jangbu.domain.ledger import Balance
from jangbu.domain.windows import Bucket, Window
from jangbu.errors import InvalidInput
from jangbu.metering import directory, user_places
from jangbu.metering.directory import Listed, Only, Order, State
from jangbu.metering.rollups import Rollups
from jangbu.metering.snapshots import snapshot
from jangbu.storage import rollups
from jangbu.storage.database import Database
from tests.metering.charted import MINUTE, MOVED, SEOUL
from tests.metering.traffic import KIM, LEE, PARK, PROJECT, Shop, open_shop

MINUTES = f"""
    SELECT (extract(epoch FROM jangbu.uuid7_time(id) - '{MOVED.isoformat()}') / 60)::integer FROM jangbu.usage
"""
CALLERS = """
    SELECT count(DISTINCT u.account_id)
    FROM jangbu.usage AS u
    JOIN jangbu.accounts AS a USING (account_id)
    WHERE a.project = $1 AND jangbu.uuid7_time(u.id) >= $2 AND jangbu.uuid7_time(u.id) < $3
"""
WINDOW = Window.custom(MOVED, MOVED + timedelta(days=3), SEOUL)
NAMES = ("a", "a-1", "a-2", "a-10", "B", "ab", "가", "가나", "ㄱ", "z", "é", "\U0001f600", "힣", "豈", "Z")
KEYS: dict[Order, Callable[[Listed], int]] = {
    Order.USER: lambda _: 0,
    Order.USED: lambda each: each.balance.used,
    Order.LEFT: lambda each: each.balance.granted - each.balance.used,
    Order.SEEN: lambda each: 0 if each.seen_at is None else int(each.seen_at.timestamp() * 1000),
}


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    """Give a book of users of whom some are listed, some moved since, and some are new."""
    chance = random.Random(3)
    async with open_shop(database) as opened:
        for user in NAMES:
            await opened.accounts.create(user)
        await live(opened, chance)
        assert await rollups.refresh_directory(database, 1_000) == len(NAMES) + 3
        await live(opened, chance)
        await opened.accounts.create("the new one")
        yield opened


async def live(shop: Shop, chance: random.Random) -> None:
    for user in chance.sample(NAMES, 6):
        await shop.accounts.grant(user, chance.randint(1, 500), key=f"{user} {chance.random()}")
    rows = []
    for user in chance.sample(NAMES, 7):
        shop.clock.set(MOVED + chance.randint(0, 4 * 1440) * MINUTE)
        rows.append(shop.row(user, prompt=chance.randint(1, 300)))
    await shop.record(rows)


async def listed(shop: Shop, limit: int = 50, **asked: Any) -> list[Listed]:
    """Give the users of all pages."""
    found: list[Listed] = []
    after = None
    async with snapshot(shop.database, shop.project) as look:
        while True:
            page = await directory.page(look, WINDOW, after=after, limit=limit, **asked)
            assert len(page.users) <= limit
            found += page.users
            after = page.next
            if after is None:
                return found


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("descending", [False, True])
async def test_every_user_is_listed_once_and_in_order(shop: Shop, order: Order, descending: bool) -> None:
    whole = await listed(shop, order=order, descending=descending)

    assert sorted(each.user for each in whole) == sorted((*NAMES, KIM, LEE, PARK, "the new one"))
    keys = [(KEYS[order](each), each.user.encode()) for each in whole]
    assert keys == sorted(keys, reverse=descending)
    for limit in (1, 3, 19):
        assert await listed(shop, limit, order=order, descending=descending) == whole


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("prefix", ["a", "a-", "가", "\U0001f600", "힣", "nobody", "\ud7ff", "\U0010ffff", "z", "Z"])
@pytest.mark.parametrize("few", [0, 1_000])
async def test_users_are_found_by_how_their_names_begin(
    shop: Shop, order: Order, prefix: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where they are few they are put in order by themselves, else they are looked for in the order of all."""
    monkeypatch.setattr(user_places, "_FEW", few)
    whole = await listed(shop, order=order)

    found = await listed(shop, 2, order=order, prefix=prefix)

    assert found == [each for each in whole if each.user.startswith(prefix)]


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("few", [8, 9])
async def test_who_has_an_open_finding_is_anomalous_and_found_in_any_order(
    shop: Shop, order: Order, descending: bool, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where few findings are open, their users are looked up, else they are looked for among all."""
    monkeypatch.setattr(user_places, "_FINDINGS_FEW", few)
    found = [(user, resolved) for user in ("a-1", "가", "the new one", "Z") for resolved in (False, True, False)]
    for number, (user, is_resolved) in enumerate((*found, ("B", True))):
        await shop.rows(
            "INSERT INTO jangbu.findings (account_id, usage_id, kind, detail, resolved_at) VALUES ($1, $2, $3, '', $4)",
            shop.accounts.id_of(user), UUID(int=number), "late", MOVED if is_resolved else None,
        )  # fmt: skip
    wanted = {user for user, _ in found}
    async with open_shop(shop.database, "another") as other:
        await shop.rows(
            "INSERT INTO jangbu.findings (account_id, usage_id, kind, detail) VALUES ($1, $2, 'late', '')",
            other.accounts.id_of(KIM), UUID(int=99),
        )  # fmt: skip

    whole = await listed(shop, order=order, descending=descending)

    assert {each.user for each in whole if each.is_anomalous} == wanted
    for limit in (1, 3, 50):
        only = await listed(shop, limit, order=order, descending=descending, is_anomalous=True)
        assert only == [each for each in whole if each.is_anomalous]
    begun = await listed(shop, 1, order=order, descending=descending, is_anomalous=True, prefix="a")
    assert [each.user for each in begun] == ["a-1"]


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("few", [1, 1_000])
async def test_users_are_listed_by_how_they_stand_in_any_order(
    shop: Shop, order: Order, descending: bool, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page looks at some users only, and goes on where it ended: nobody is left out, nor seen twice."""
    monkeypatch.setattr(user_places, "_LOOKED", 3)
    monkeypatch.setattr(user_places, "_BLOCKED_FEW", few)
    for user in ("a-1", "가", "the new one"):
        await shop.accounts.block(user)
    for user in ("ab", "Z"):
        await shop.accounts.grant(user, 5_000, key="enough")
    async with open_shop(shop.database, "another") as other:
        await other.accounts.block(KIM)
    whole = await listed(shop, order=order, descending=descending)
    states = {state: [each for each in whole if each.state is state] for state in State}
    assert len(states[State.BLOCKED]) == 3
    assert all(states[state] for state in (State.EMPTY, State.LOW, State.OK))

    for state, wanted in states.items():
        for limit in (1, 2, 50):
            only = Only(state)
            assert await listed(shop, limit, order=order, descending=descending, only=only, low=300) == [
                each for each in await listed(shop, order=order, descending=descending, low=300) if each.state is state
            ]
            assert await listed(shop, limit, order=order, descending=descending, only=only) == wanted
    begun = await listed(shop, 1, order=order, descending=descending, only=Only(State.BLOCKED), prefix="a")
    assert [each.user for each in begun] == ["a-1"]


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("descending", [False, True])
async def test_who_called_since_is_listed_in_any_order(
    shop: Shop, order: Order, descending: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_places, "_LOOKED", 3)
    whole = await listed(shop, order=order, descending=descending)
    seen = sorted(each.seen_at for each in whole if each.seen_at is not None)
    for since in (seen[0], seen[len(seen) // 2], seen[-1], seen[-1] + MINUTE):
        wanted = [each for each in whole if each.seen_at is not None and each.seen_at >= since]
        for limit in (1, 50):
            assert await listed(shop, limit, order=order, descending=descending, only=Only(since=since)) == wanted


async def test_a_list_by_the_latest_call_ends_with_the_last_who_called_since(shop: Shop) -> None:
    shop.clock.set(MOVED + timedelta(days=9))
    await shop.record([shop.row(KIM), shop.row(LEE)])
    async with snapshot(shop.database, shop.project) as look:
        page = await directory.page(look, WINDOW, order=Order.SEEN, limit=2, only=Only(since=MOVED + timedelta(days=8)))
    assert ({each.user for each in page.users}, page.next) == ({KIM, LEE}, None)


async def test_what_is_shown_of_a_user_is_what_the_book_says(shop: Shop) -> None:
    users = {each.user: each for each in await listed(shop)}

    rows = await shop.rows(
        "SELECT a.user_id, b.granted, b.used, b.held, (SELECT max(jangbu.uuid7_time(u.id)) FROM jangbu.usage AS u"
        " WHERE u.account_id = a.account_id), (SELECT coalesce(sum(total), 0) FROM jangbu.usage AS u WHERE"
        " u.account_id = a.account_id), (SELECT count(*) FROM jangbu.usage AS u WHERE u.account_id = a.account_id"
        " AND jangbu.uuid7_time(u.id) >= $1 AND jangbu.uuid7_time(u.id) < $2)"
        " FROM jangbu.accounts AS a JOIN jangbu.balances AS b USING (account_id) WHERE b.asset = 1",
        WINDOW.start,
        WINDOW.end,
    )
    for user, granted, used, held, seen_at, total, calls in rows:
        each = users[user]
        assert each.balance == Balance(granted, used, held)
        assert (each.seen_at, each.lifetime.total_tokens, each.period.calls) == (seen_at, total, calls)
        assert each.account == shop.accounts.id_of(user)


async def test_a_state_says_how_a_user_stands(shop: Shop) -> None:
    for user, granted, used in (("rich", 1_000, 900), ("poor", 1_000, 901), ("broke", 1_000, 1_000), ("none", 0, 0)):
        await shop.accounts.create(user)
        if granted:
            await shop.accounts.grant(user, granted, key=user)
        if used:
            await shop.record([shop.row(user, prompt=used, candidates=0)])
    await shop.accounts.create("banned")
    await shop.accounts.grant("banned", 5, key="banned")
    await shop.accounts.block("banned")

    states = {each.user: each.state for each in await listed(shop)}

    assert {user: states[user] for user in ("rich", "poor", "broke", "none", "banned")} == {
        "rich": State.OK,
        "poor": State.LOW,
        "broke": State.EMPTY,
        "none": State.EMPTY,
        "banned": State.BLOCKED,
    }
    async with snapshot(shop.database, shop.project) as look:
        told = {each.user: each.state for each in (await directory.page(look, WINDOW, limit=1_000, low=100)).users}
    wanted = (State.OK, State.LOW, State.EMPTY, State.BLOCKED)
    assert tuple(told[user] for user in ("rich", "poor", "broke", "banned")) == wanted


async def test_a_late_call_does_not_make_a_user_seen_earlier(shop: Shop) -> None:
    for days in (9, 2):
        shop.clock.set(MOVED + timedelta(days=days))
        await shop.record([shop.row(KIM)])
        await shop.record([shop.row(LEE), shop.silent_row(PARK)])

    seen = {each.user: each.seen_at for each in await listed(shop)}

    assert all(at and at - MOVED >= timedelta(days=9) for at in (seen[KIM], seen[LEE], seen[PARK]))


async def test_who_called_in_a_window_that_is_not_over_is_counted(shop: Shop) -> None:
    shop.clock.set(MOVED + timedelta(days=9))
    await shop.record([shop.row(KIM)])
    users = await listed(shop)
    async with snapshot(shop.database, shop.project) as look:
        for start in (MOVED, MOVED + timedelta(days=2), MOVED + timedelta(days=3000)):
            seen = [each for each in users if each.seen_at is not None and each.seen_at >= start]
            window = Window.custom(start, start + timedelta(days=3650), SEOUL)
            assert await directory.active(look, window) == len(seen)
        assert await directory.active(look, WINDOW) is None


@pytest.mark.parametrize("is_carried", [False, True])
async def test_who_called_in_a_window_that_is_over_is_counted_to_the_minute(shop: Shop, is_carried: bool) -> None:
    if is_carried:
        await Rollups(shop.database).carry()
        await live(shop, random.Random(4))
    shop.clock.set(MOVED + timedelta(days=9))
    chance = random.Random(5)
    lengths = [1, 7, 15, 40, 60, 90, 1440, 2 * 1440, 4 * 1440]
    times = [timedelta(minutes=at) for at in sorted({row[0] for row in await shop.rows(MINUTES)})]
    counted = set()
    async with open_shop(shop.database, "another") as other:
        other.clock.set(MOVED + MINUTE)
        await other.record([other.row(KIM)])
    for length in lengths * 12:
        start = MOVED + chance.choice(times) - chance.randint(-length, length - 1) * MINUTE
        end = start + length * MINUTE
        async with snapshot(shop.database, shop.project) as look:
            users = await directory.called(look, Window.custom(start, end, SEOUL, Bucket.DAY))
        assert [(users,)] == await shop.rows(CALLERS, shop.project, start, end), (start, end)
        counted.add(users)
    assert len(counted) > 4


async def test_the_histogram_counts_every_user_once(shop: Shop) -> None:
    async with snapshot(shop.database, shop.project) as look:
        bins = await directory.histogram(look, (1, 100, 200, 300))

    used = [each.balance.used for each in await listed(shop)]
    assert [(each.least, each.below, each.users) for each in bins] == [
        (least, below, sum(least <= each and (below is None or each < below) for each in used))
        for least, below in ((0, 1), (1, 100), (100, 200), (200, 300), (300, None))[: len(bins)]
    ]
    assert sum(each.users for each in bins) == len(used)
    assert bins[-1].users > 0


async def test_each_project_lists_its_own_users(shop: Shop, database: Database) -> None:
    async with open_shop(database, "another") as other:
        await other.accounts.create("a-3")
        await rollups.refresh_directory(database, 2)

        assert {each.user for each in await listed(other, 2)} == {KIM, LEE, PARK, "a-3"}
        assert "a-3" not in {each.user for each in await listed(shop)}
        async with snapshot(database, "another") as look:
            assert [(each.least, each.users) for each in await directory.histogram(look)] == [(0, 4)]


async def test_an_empty_project_has_an_empty_list(database: Database) -> None:
    async with snapshot(database, "nobody's") as look:
        assert (await directory.page(look, WINDOW)).users == ()
        assert await directory.histogram(look) == ()


@pytest.mark.parametrize("limit", [0, 1_001])
async def test_so_many_users_are_no_page(shop: Shop, limit: int) -> None:
    async with snapshot(shop.database, PROJECT) as look:
        with pytest.raises(InvalidInput):
            await directory.page(look, WINDOW, limit=limit)


async def test_the_sweep_brings_everybody_to_their_places(shop: Shop) -> None:
    await Rollups(shop.database).carry()

    assert await shop.rows("SELECT account_id FROM jangbu.balances WHERE asset = 1 AND NOT is_listed") == []
    assert await shop.rows("SELECT count(*)::integer FROM jangbu.directory") == [(len(NAMES) + 4,)]
    before = await listed(shop)
    assert [each.balance.used for each in before] == sorted((each.balance.used for each in before), reverse=True)
