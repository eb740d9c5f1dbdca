"""Files of calls: who narrows a list and takes its file has the rows of the list, all of its pages, and no others."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from playwright.async_api import Page as Tab

from jangbu.dashboard.formats import Formats
from jangbu.dashboard.texts import texts_of
from jangbu.metering.log_search import STEP
from jangbu.metering.logs import Ending
from tests.dashboard.conftest import Opens
from tests.dashboard.drilling import Reader, paged
from tests.dashboard.reading import ask, downloaded, rows
from tests.dashboard.site import MODELS, SERVICES, USERS, VIEWER, Site
from tests.dashboard.varied import KIM

FORMATS = Formats("en", "Asia/Seoul")
ENDED = {each.value: texts_of("en")(f"ending.{each}") for each in Ending}
OWN_KEY = "SELECT key_id::text FROM jangbu.api_keys WHERE name = 'browser'"

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def listed(tab: Tab, address: str) -> Sequence[tuple[str, str, str, str, str]]:
    """Give the calls of all pages of a list, newest first: id, model, tokens, how each ended, and the answer's id."""
    reader = await Reader.of(tab)
    found = []
    async for table in paged(reader, address, "calls"):
        for row in table.rows:
            cells = row.cells
            found.append((cells[-2], cells[1].split()[0], cells[4], cells[7], cells[-1]))
    return found


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"status": "recorded"},
        {"status": "overrun", "model": MODELS[0]},
        {"status": "returned"},
        {"tag": "feature=writing", "range": "30d"},
        {"tag": "feature", "service": SERVICES[2], "status": "recorded"},
        {"key": "none", "status": "overrun"},
        {"key": "browser"},
    ],
    ids=str,
)
async def test_a_file_has_the_rows_that_the_list_beside_it_has_on_all_of_its_pages(
    opens_varied: Opens, varied: Site, filters: dict[str, str]
) -> None:
    ((own,),) = await ask(varied, OWN_KEY)
    asked = {"user": KIM, "zone": "Asia/Seoul", **filters}
    asked |= {"key": own} if filters.get("key") == "browser" else {}
    address = "/user?" + urlencode(asked)
    tab = await opens_varied(address, member=VIEWER)
    shown = await listed(tab, f"/dashboard{address}")
    for form in ("CSV", "JSON Lines"):
        file = await downloaded(tab, f"All calls as a file: {form}")
        lines = file.table if form == "CSV" else file.lines
        said = [
            (
                line["id"], line["model"], FORMATS.number(int(line["total_tokens"])),
                ENDED[line["status"]], line["response_id"] or "–",
            )
            for line in lines
        ]  # fmt: skip
        assert said[::-1] == shown != []


TAGGED = """
    SELECT a.user_id, u.id::text, u.total
    FROM jangbu.usage AS u
    JOIN jangbu.accounts AS a USING (account_id)
    WHERE {meant} = $1 AND (jangbu.uuid7_time(u.id) AT TIME ZONE 'UTC')::date >= $2
    ORDER BY a.user_id COLLATE "C", u.id
"""


@pytest.mark.parametrize("by", ["tag", "key"])
async def test_the_calls_of_a_tags_value_or_a_key_are_a_file_of_their_own(
    opens_varied: Opens, varied: Site, by: str
) -> None:
    ((own,),) = await ask(varied, OWN_KEY)
    first = datetime.now(UTC).date() - timedelta(days=20)
    asked, meant, value = {
        "tag": ({"tag": "feature", "tag_value": "writing"}, "u.metadata #>> '{tags,feature}'", "writing"),
        "key": ({"by_key": own}, "u.metadata ->> 'jangbu_key'", own),
    }[by]
    tab = await opens_varied("/cost?" + urlencode({"from": first.isoformat(), "zone": "UTC", **asked}))
    shown = await rows(tab, "tagged")
    stored = await ask(varied, TAGGED.format(meant=meant), value, first)
    lines = (await downloaded(tab, "All of these calls as a file: JSON Lines")).lines
    assert [(line["user"], line["id"], line["total_tokens"]) for line in lines] == stored != []
    assert {cells[1] for cells in shown} <= {line["user"] for line in lines}
    assert len(shown) == min(50, len(stored))
    whole = (await downloaded(tab, "All calls as a file: JSON Lines")).lines
    assert len(whole) > len(lines), "the page's own file is of all that it sums"


MANY = """
    INSERT INTO jangbu.usage ({columns}, id)
    SELECT {columns}, jangbu.uuid7_floor(now() - interval '1 minute' - n * interval '1 millisecond')
    FROM (
        SELECT u.* FROM jangbu.usage AS u JOIN jangbu.accounts AS a USING (account_id) WHERE a.user_id = $1 LIMIT 1
    ) AS u
    CROSS JOIN generate_series(1, $2) AS n
"""
OLDEST = """
    UPDATE jangbu.usage AS u
    SET metadata = '{"tags": {"page": "first"}}'
    WHERE (u.account_id, u.id) = (
        SELECT r.account_id, r.id FROM jangbu.usage AS r JOIN jangbu.accounts AS a USING (account_id)
        WHERE a.user_id = $1 ORDER BY r.id LIMIT 1
    )
    RETURNING u.id::text
"""
"""No page tags a call that it recorded: the oldest gets one, so that all others are looked through before it."""
COLUMNS = """
    SELECT string_agg(quote_ident(column_name), ', ')
    FROM information_schema.columns
    WHERE table_schema = 'jangbu' AND table_name = 'usage' AND column_name <> 'id' AND is_generated = 'NEVER'
"""


async def test_a_list_that_found_nothing_so_far_gives_the_file_that_looks_through_all_of_the_calls(
    opens_own: Opens, own_site: Site
) -> None:
    ((columns,),) = await ask(own_site, COLUMNS)
    await ask(own_site, MANY.format(columns=columns), USERS[-1], STEP + 1)
    oldest = await ask(own_site, OLDEST, USERS[-1])
    tab = await opens_own("/user?" + urlencode({"user": USERS[-1], "tag": "page=first"}))
    assert await rows(tab, "calls") == []
    lines = (await downloaded(tab, "All calls as a file: JSON Lines")).lines
    assert [(line["id"],) for line in lines] == oldest
