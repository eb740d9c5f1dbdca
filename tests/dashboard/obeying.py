"""What a page has to show once a filter is set: each function gives what sees to that."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from jangbu.dashboard.texts import texts_of
from jangbu.domain.windows import Preset, Window
from tests.dashboard.raw import asked_of, signed_in
from tests.dashboard.reading import ask
from tests.dashboard.shown import Node, read
from tests.dashboard.site import OWNER, Site

T = texts_of("en")
SHOWN_MOST = 50
CALLS = """
    SELECT count(*), coalesce(sum(u.total), 0)::bigint, coalesce(sum(u.cost_nano), 0)::bigint
    FROM jangbu.usage AS u
    JOIN jangbu.accounts AS a ON a.account_id = u.account_id
    JOIN jangbu.models AS m ON m.model_id = u.model_id
    JOIN jangbu.services AS s ON s.service_id = u.service_id
    WHERE jangbu.uuid7_time(u.id) >= $1 AND jangbu.uuid7_time(u.id) < $2
        AND ($3::text IS NULL OR a.user_id = $3) AND ($4::text IS NULL OR m.name = $4)
        AND ($5::text IS NULL OR s.name = $5)
"""
ENTRIES = """
    SELECT count(*)
    FROM jangbu.entries AS e
    JOIN jangbu.accounts AS a ON a.account_id = e.account_id
    WHERE a.user_id = $1 AND e.asset = 1 AND e.created_at >= $2 AND e.created_at < $3
"""
ACTIVE = """
    SELECT count(DISTINCT u.account_id) FROM jangbu.usage AS u
    WHERE jangbu.uuid7_time(u.id) >= $1 AND jangbu.uuid7_time(u.id) < $2
"""
ANOMALOUS = """
    SELECT a.user_id, count(*) FROM jangbu.findings AS f
    JOIN jangbu.accounts AS a ON a.account_id = f.account_id
    WHERE f.resolved_at IS NULL
    GROUP BY a.user_id
"""
HOLDS = "SELECT count(*) FROM jangbu.holds WHERE state IN ('open', 'unknown') AND taken_at >= $1 AND taken_at < $2"
REFUSED = "SELECT count(*) FROM jangbu.refused_minutes WHERE at >= $1 AND at < $2"
TAGGED = """
    SELECT count(*)
    FROM jangbu.usage AS u
    JOIN jangbu.accounts AS a ON a.account_id = u.account_id
    WHERE a.user_id = $1 AND 'feature=' || (u.metadata #>> '{tags,feature}') = $2
"""
OVERRUN = """
    SELECT count(*)
    FROM jangbu.usage AS u
    JOIN jangbu.accounts AS a ON a.account_id = u.account_id
    WHERE a.user_id = $1 AND u.total > u.hold_amount AND NOT u.late
        AND u.id NOT IN (SELECT e.reference FROM jangbu.entries AS e WHERE e.kind IN ('refund', 'void'))
"""
KEYLESS = """
    SELECT count(*)
    FROM jangbu.usage AS u
    JOIN jangbu.accounts AS a ON a.account_id = u.account_id
    WHERE a.user_id = $1 AND u.metadata -> 'jangbu_key' IS NULL
"""
SEARCHED = {"status": OVERRUN, "tag": TAGGED, "key": KEYLESS}


@dataclass(frozen=True)
class Looked:
    """A page before and after something was chosen; ``asked`` is what its address says then."""

    before: Node
    after: Node
    name: str
    asked: Mapping[str, str]
    site: Site

    @property
    def value(self) -> str:
        return self.asked[self.name]

    @property
    def window(self) -> Window:
        """The window that the address means."""
        zone, now = ZoneInfo(self.asked.get("zone", "UTC")), datetime.now(UTC)
        since, until = self.asked.get("from"), self.asked.get("to")
        if since or until:
            last = date.fromisoformat(until) if until else now.astimezone(zone).date()
            return Window.days(date.fromisoformat(since) if since else last, last, zone)
        return Window.preset(Preset(self.asked.get("range") or Preset.MONTH), now, zone)

    async def used(self, window: Window, **chosen: str | None) -> tuple[int, int, int]:
        """Give the calls, tokens and cost that the records of a window add up to."""
        wanted = [{**self.asked, **chosen}.get(name) for name in ("user", "model", "service")]
        [(calls, tokens, cost)] = await ask(self.site, CALLS, window.start, window.end, *wanted)
        return calls, tokens, cost


Obeys = Callable[[Looked], Awaitable[None]]


def whole(text: str) -> int:
    """Read a number."""
    return int(text.partition(" ")[0].replace(",", ""))


def column(node: Node, section: str, head: str) -> list[str]:
    """Give a column of a table, from the top."""
    table = node.table_of(section)
    place = table.heads.index(head)
    return [(row.name, *row.cells)[place] for row in table.rows]


def only(section: str, head: str, group: str = "", wanted: str = "") -> Obeys:
    """See that a column says what was chosen, in each line, and said other things, too."""

    async def obeys(looked: Looked) -> None:
        said = wanted or (T.known(group, looked.value) if group else looked.value)
        found = column(looked.after, section, head)
        assert found
        assert all(each.startswith(said) for each in found)
        assert not all(each.startswith(said) for each in column(looked.before, section, head))

    return obeys


def counted(shown: Callable[[Node], int]) -> Obeys:
    """See that as many calls are counted as the records say that are of what was chosen, and other ones than before."""

    async def obeys(looked: Looked) -> None:
        calls, _, _ = await looked.used(looked.window)
        assert shown(looked.after) == calls > 0
        assert shown(looked.before) != calls or looked.name == "zone"
        if looked.name == "zone":
            assert in_zone(looked.after, looked.value) == in_zone(looked.before, "UTC") > 0

    return obeys


def in_zone(node: Node, zone: str) -> int:
    """Count how often a page says that its times are those of a zone."""
    return node.text.count(T("in_zone", zone=zone))


def with_calls(obeys: Obeys) -> Obeys:
    """See to the calls of a user that are listed, too."""

    async def both(looked: Looked) -> None:
        await obeys(looked)
        asks_window = looked.asked.keys() & {"range", "from", "to"}
        window = looked.window if asks_window else Window.days(date(2020, 1, 1), date(2090, 1, 1), ZoneInfo("UTC"))
        calls, _, _ = await looked.used(window)
        assert len(looked.after.table_of("calls").rows) == min(SHOWN_MOST, calls)
        for name, head, group in (("service", "Service", "service"), ("model", "Model", "")):
            if name in looked.asked:
                await only("calls", head, group)(looked)

    return both


async def everybodys(looked: Looked) -> None:
    """See that the latest calls are listed of what was chosen, as many as fit on a page."""
    calls, _, _ = await looked.used(looked.window)
    assert len(looked.after.table_of("calls").rows) == min(SHOWN_MOST, calls) > 0
    for name, head, group in (("service", "Service", "service"), ("model", "Model", ""), ("user", "User", "")):
        if name == looked.name:
            await only("calls", head, group)(looked)
    if looked.name == "zone":
        assert in_zone(looked.after, looked.value) == in_zone(looked.before, "UTC") > 0
        assert column(looked.after, "calls", "Time") != column(looked.before, "calls", "Time")


def listed(section: str, statement: str) -> Obeys:
    """See that as many lines are listed as there are rows of a window: of all time for holds, where none is chosen."""

    async def obeys(looked: Looked) -> None:
        asks_window = section == "users" or looked.asked.keys() & {"range", "from", "to"}
        window = looked.window if asks_window else Window.days(date(2020, 1, 1), date(2090, 1, 1), ZoneInfo("UTC"))
        [(rows,)] = await ask(looked.site, statement, window.start, window.end)
        assert len(looked.after.table_of(section).rows) == rows > 0

    return obeys


def searched(obeys: Obeys) -> Obeys:
    """See to the calls that are found by how they ended, by a tag or by a key; so has the file, and no others."""

    async def both(looked: Looked) -> None:
        await obeys(looked)
        values = [looked.value] if looked.name == "tag" else []
        [(calls,)] = await ask(looked.site, SEARCHED[looked.name], looked.asked["user"], *values)
        assert len(looked.after.table_of("calls").rows) == min(SHOWN_MOST, calls) > 0
        assert len(looked.before.table_of("calls").rows) > calls or calls > SHOWN_MOST
        if looked.name == "status":
            await only("calls", "Status", "ending")(looked)
        [link] = [
            each.attributes["href"]
            for each in looked.after.all("a")
            if "/user/calls.jsonl" in each.attributes.get("href", "")
        ]
        owner = await asyncio.to_thread(signed_in, looked.site, OWNER)
        answer = await asyncio.to_thread(owner.get, link.removeprefix("/dashboard"))
        assert len(answer.text.splitlines()) == calls

    return both


async def by_cost(looked: Looked) -> None:
    """See that the chart counts money, all that the calls cost."""
    _, _, cost = await looked.used(looked.window)
    assert looked.after.one("figcaption", id="by-model-title").text.startswith("Cost by model")
    shown = looked.after.table_of("by-model-title").total[-1]
    assert abs(float(shown.removeprefix("≥ ").removeprefix("$")) - cost / 10**9) < 0.01
    assert not looked.before.table_of("by-model-title").total[-1].startswith("$")


def by_weeks(chart: str) -> Obeys:
    """See that a chart has a bar for each week, which add up to what the days did."""

    async def obeys(looked: Looked) -> None:
        before, after = (node.table_of(f"{chart}-title") for node in (looked.before, looked.after))
        days = looked.window
        weeks = {(at.date()).isocalendar()[:2] for at in days.edges()[:-1]}
        assert (len(before.rows), len(after.rows)) == (len(days.edges()) - 1, len(weeks))
        assert after.total == before.total

    return obeys


def compared(tiles: int) -> Obeys:
    """See that tiles say what was before, and that those which count calls say how many."""

    async def obeys(looked: Looked) -> None:
        calls, _, _ = await looked.used(looked.window.previous(datetime.now(UTC)))
        said = {each.one("dt").text: each.one("dd").text for each in looked.after.all("div", class_="tile")}
        assert sum("before: " in text for text in said.values()) == tiles
        assert "before: " not in looked.before.text
        assert said.get("Calls", f"before: {calls}").endswith(f"before: {calls}")

    return obeys


async def of_period(looked: Looked) -> None:
    """See that all users together used what the records of the period say."""
    _, tokens, _ = await looked.used(looked.window)
    assert sum(map(whole, column(looked.after, "users", "Used in the period"))) == tokens > 0
    if looked.name == "zone":
        assert in_zone(looked.after, looked.value) == in_zone(looked.before, "UTC") > 0


async def found_by_name(looked: Looked) -> None:
    """See that only users are listed whose names begin so."""
    everybody = column(looked.before, "users", "User")
    wanted = {each for each in everybody if each.startswith(looked.value)}
    assert set(column(looked.after, "users", "User")) == wanted < set(everybody)


async def anomalous(looked: Looked) -> None:
    """See that those are listed who have open findings, with a badge that leads there; their file is of them, too."""
    stored = dict(await ask(looked.site, ANOMALOUS))
    everybody = dict(zip(column(looked.before, "users", "User"), column(looked.before, "users", "State"), strict=True))
    marked = {user for user, state in everybody.items() if T("state.anomalous") in state}
    assert marked == stored.keys() < everybody.keys()
    assert set(column(looked.after, "users", "User")) == stored.keys()
    [section] = looked.after.all("section", aria_labelledby="users")
    user, found = min(stored.items(), key=lambda each: each[1])
    [badge] = [each for each in section.all("a", class_="badge") if asked_of(each.attributes["href"])["user"] == user]
    owner = await asyncio.to_thread(signed_in, looked.site, OWNER)
    there = await asyncio.to_thread(owner.get, badge.attributes["href"].removeprefix("/dashboard"))
    assert len(read(there.text).table_of("open").rows) == found
    [link] = [each for each in section.all("a") if "/users/users.jsonl" in each.attributes["href"]]
    answer = await asyncio.to_thread(owner.get, link.attributes["href"].removeprefix("/dashboard"))
    assert {json.loads(line)["user"] for line in answer.text.splitlines()} == stored.keys()


async def by_name(looked: Looked) -> None:
    """See that users stand in the order of their names."""
    names = [each.encode() for each in column(looked.after, "users", "User")]
    assert names == sorted(names)
    assert names != [each.encode() for each in column(looked.before, "users", "User")]


async def least_first(looked: Looked) -> None:
    """See that users stand the other way round."""
    used = list(map(whole, column(looked.after, "users", "Used in all")))
    assert used == sorted(used)
    assert used != list(map(whole, column(looked.before, "users", "Used in all")))


async def of_user(looked: Looked) -> None:
    """See that the ledger is that of the user."""
    [(count,)] = await ask(looked.site, ENTRIES, looked.value, datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC))
    assert looked.after.one("h1").text.endswith(f"· {looked.value}")
    assert whole(column(looked.after, "entries", "No.")[0]) == count


async def of_money(looked: Looked) -> None:
    """See that all entries are of money, and were not."""
    assert all("$" in each for each in column(looked.after, "entries", "Change"))
    assert not any("$" in each for each in column(looked.before, "entries", "Change"))


async def entered(looked: Looked) -> None:
    """See that as many entries are listed as there are of the period."""
    window = looked.window
    [(count,)] = await ask(looked.site, ENTRIES, looked.asked["user"], window.start, window.end)
    listed = len(looked.after.table_of("entries").rows) if count else 0
    assert listed == min(SHOWN_MOST, count)
    assert count or "Nothing matches these filters" in looked.after.text


async def in_that_zone(looked: Looked) -> None:
    """See that a list has other times, and says in which zone they are."""
    assert in_zone(looked.after, looked.value) == in_zone(looked.before, "UTC") > 0
    assert column(looked.after, "entries", "Time") != column(looked.before, "entries", "Time")


async def undelivered(looked: Looked) -> None:
    """See that only alerts are listed that did not arrive."""
    assert set(column(looked.after, "told", "Delivery")) == {"in the log only"}
    assert set(column(looked.before, "told", "Delivery")) == {"in the log only", "delivered"}


async def by_the_thousand(looked: Looked) -> None:
    """See that prices are those of a thousand tokens, where they were those of a million."""
    after, before = (column(node, "book", "Unit price") for node in (looked.after, looked.before))
    assert not any(each.endswith("for 1,000,000") for each in after)
    for new, old in zip(after, before, strict=True):
        if old.endswith("for 1,000,000"):
            price, thousandth = (float(each.partition(" ")[0].removeprefix("$")) for each in (old, new))
            assert abs(price / 1_000 - thousandth) < 1e-12


async def of_version(looked: Looked) -> None:
    """See that the book is the one of that version."""
    assert looked.after.one("h2", id="book").text.startswith(T("prices.book", version=looked.value))
    assert not looked.before.one("h2", id="book").text.startswith(T("prices.book", version=looked.value))
