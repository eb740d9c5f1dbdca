"""The pages against whoever means harm: who is not let in sees and does nothing, and what they send does nothing else.

Everything is asked of the server itself, as no browser would. What a browser makes of it, ``test_payloads`` tells.
"""

import asyncio
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.message import Message
from urllib.parse import urlencode
from urllib.request import urlopen

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jangbu.dashboard.assets import address
from jangbu.dashboard.look import PREFIX
from jangbu.dashboard.page import Action, Page
from jangbu.dashboard.pages.all import PAGES
from jangbu.dashboard.rendered import HEADERS
from jangbu.domain.keys import Role
from jangbu.domain.members import MemberRole
from tests.dashboard.raw import Answer, Visitor, signed_in
from tests.dashboard.sent import FIELDS, NOBODY
from tests.dashboard.site import OWNER, Site
from tests.dashboard.test_every_page import address_of

ACTIONS = [(page, name, action) for page in PAGES for name, action in page.actions.items()]
DOORS = ("/sign-in", "/sign-out", "/set-up")
MARK = "<i>mark</i>"
"""What no page may hold as it is."""


@pytest.fixture(scope="session")
def visitors(site: Site) -> dict[MemberRole, Visitor]:
    return {role: signed_in(site, role.value) for role in MemberRole}


@contextmanager
def nothing_done(site: Site) -> Iterator[None]:
    """See that nothing in the ledger was changed, and that nothing is said to have been."""
    before = asyncio.run(standing(site))
    yield
    assert asyncio.run(standing(site)) == before


async def standing(site: Site) -> object:
    connection = await asyncpg.connect(site.database_url)
    try:
        return await connection.fetchrow(
            "SELECT (SELECT count(*) FROM jangbu.entries), (SELECT count(*) FROM jangbu.idempotency_keys),"
            " (SELECT count(*) FROM jangbu.price_versions), (SELECT array_agg(state::text) FROM jangbu.accounts),"
            " (SELECT array_agg(role::text) FROM jangbu.members), (SELECT count(*) FROM jangbu.api_keys),"
            " (SELECT count(*) FROM jangbu.verification_runs), (SELECT array_agg(blocked_at) FROM jangbu.members),"
            " (SELECT count(*) FROM jangbu.alert_mutes), (SELECT count(*) FROM jangbu.channel_tests),"
            " (SELECT count(*) FROM jangbu.findings WHERE acknowledged_at IS NOT NULL OR resolved_at IS NOT NULL),"
            " (SELECT count(*) FROM jangbu.set_up_links), (SELECT array_agg(revoked_at) FROM jangbu.api_keys),"
            " (SELECT array_agg(password ORDER BY member_id) FROM jangbu.members),"
            " (SELECT count(*) FROM jangbu.audit WHERE action <> 'sessions.begin')"
        )
    finally:
        await connection.close()


def path_of(page: Page, action: str) -> str:
    return f"{page.path.rstrip('/')}/{action}"


def named(case: object) -> str:
    if isinstance(case, Page):
        return case.name
    return str(case) if isinstance(case, str | Role) else ""


def reason_in(answer: Answer) -> bool:
    return '<p role="alert">' in answer.text


@pytest.mark.parametrize("token", [None, "", "x" * 43, "../" * 20, "ended"])
def test_nobody_sees_a_page_without_a_session(site: Site, token: str | None) -> None:
    if token == "ended":
        visitor = signed_in(site, OWNER)
        assert visitor.send("/sign-out", {}).status == 303
    else:
        visitor = Visitor(site, token)
    for page in PAGES:
        answer = visitor.get(address_of(page.name, page.path, site))
        assert (answer.status, answer.body) == (303, b""), page.name
        assert answer.leads_to.startswith(f"{PREFIX}/sign-in?next=")


def test_a_page_is_shown_to_the_roles_that_it_declares_alone(site: Site, visitors: dict[MemberRole, Visitor]) -> None:
    for page, (role, visitor) in itertools.product(PAGES, visitors.items()):
        answer = visitor.get(address_of(page.name, page.path, site))
        expected = 200 if Role(f"api:{role}") in page.roles else 403
        assert (answer.status, reason_in(answer)) == (expected, expected == 403), (page.name, role)


def test_nothing_is_offered_to_those_who_only_look() -> None:
    for page, name, action in ACTIONS:
        assert action.roles, (page.name, name)
        # Everybody chooses their own password and ends their own sessions.
        assert Role.VIEWER not in action.roles or page.name == "profile", (page.name, name)
        assert action.roles <= page.roles, (page.name, name)


@pytest.mark.parametrize(("page", "name", "action"), ACTIONS, ids=named)
def test_nothing_is_done_without_a_session(site: Site, page: Page, name: str, action: Action) -> None:
    path = path_of(page, name)
    with nothing_done(site):
        for visitor in (Visitor(site), Visitor(site, "x" * 43, "0" * 64)):
            for head in ({}, {"referer": "http://["}, {"referer": "https://evil.example/x?y"}):
                answer = visitor.send(path, FIELDS.get(path, {}), **head)
                assert (answer.status, answer.body) == (303, b"")
                assert answer.leads_to.startswith(f"{PREFIX}/sign-in?next=%2F")


@pytest.mark.parametrize(("page", "name", "action"), ACTIONS, ids=named)
def test_nothing_is_done_for_a_role_that_it_is_not_declared_for(
    site: Site, visitors: dict[MemberRole, Visitor], page: Page, name: str, action: Action
) -> None:
    path = path_of(page, name)
    with nothing_done(site):
        for role, visitor in visitors.items():
            if Role(f"api:{role}") not in action.roles:
                answer = visitor.send(path, FIELDS.get(path, {}))
                assert (answer.status, reason_in(answer)) == (403, True), role


@pytest.mark.parametrize(("page", "name", "action"), ACTIONS, ids=named)
def test_nothing_is_done_without_the_token_of_the_session(
    site: Site, visitors: dict[MemberRole, Visitor], page: Page, name: str, action: Action
) -> None:
    path, owner = path_of(page, name), visitors[MemberRole.OWNER]
    others = [visitors[MemberRole.VIEWER].csrf, signed_in(site, OWNER).csrf, owner.token or "", owner.csrf[:-1]]
    with nothing_done(site):
        for token in ("", "x", "\0", "é" * 64, owner.csrf.upper() + " ", *others):
            answer = replace(owner, csrf=token).send(path, FIELDS.get(path, {}))
            assert (answer.status, reason_in(answer)) == (403, True), token
        without = json.dumps(FIELDS.get(path, {}) | {"csrf": owner.csrf}).encode()
        assert owner.send(path, without, content_type="application/json").status == 403


@pytest.mark.parametrize(
    "head",
    [
        {"origin": "https://evil.example"}, {"origin": "null"}, {"origin": ""}, {"origin": "http://["},
        {"origin": "http://localhost"}, {"origin": "http://localhost:1"}, {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"}, {"sec_fetch_site": "Same-Origin"}, {"sec_fetch_site": ""},
    ],
    ids=str,
)  # fmt: skip
def test_no_other_site_sends_a_form(site: Site, visitors: dict[MemberRole, Visitor], head: dict[str, str]) -> None:
    owner = visitors[MemberRole.OWNER]
    paths = [path_of(page, name) for page, name, _ in ACTIONS]
    with nothing_done(site):
        for path in (*paths, *DOORS):
            answer = owner.send(path, FIELDS.get(path, {"name": OWNER, "password": "x"}), **head)
            assert (answer.status, reason_in(answer)) == (403, True), path
    assert owner.get("/").status == 200, "the session was not ended either"


def test_every_answer_has_the_headers_that_keep_others_out(site: Site, visitors: dict[MemberRole, Visitor]) -> None:
    owner, viewer, nobody = visitors[MemberRole.OWNER], visitors[MemberRole.VIEWER], Visitor(site)
    answers = {
        **{page.path: owner.get(address_of(page.name, page.path, site)) for page in PAGES},
        **{path: nobody.get(path) for path in ("/sign-in", "/signed-in", "/set-up", "")},
        "refused": viewer.send("/user/grant", FIELDS["/user/grant"]),
        "refused to a script": viewer.send("/user/grant", FIELDS["/user/grant"], hx_request="true"),
        "not signed in": nobody.get("/"),
        "no such page": owner.get("/nothing"),
        "no such action": owner.send("/user/nothing", {}),
        "a slash too many": owner.get("/alerts/", host="evil.example"),
        "no such method": owner.ask("DELETE", "/"),
        "a head alone": owner.ask("HEAD", "/"),
        "unreadable": owner.get("/?range=x"),
        "too large": owner.send("/user/grant", b"x" * 100_000),
        "wrong": nobody.send("/sign-in", {"name": "nobody-at-all", "password": "x"}),
        "static": nobody.get(address("dashboard.js").removeprefix(PREFIX)),
        "no such file": nobody.get("/static/x/dashboard.js"),
        "odd host": nobody.get("/sign-in", host="evil.example/x?"),
    }
    for what, answer in answers.items():
        kept = dict(HEADERS) | ({"cache-control": "public, max-age=31536000, immutable"} if what == "static" else {})
        assert {name: answer.headers[name] for name in kept} == kept, what
        assert not answer.leads_to.startswith(("http", "//")), what
    policy = HEADERS["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


def test_no_figure_is_named_after_what_a_visitor_sends(site: Site, visitors: dict[MemberRole, Visitor]) -> None:
    assert visitors[MemberRole.OWNER].send("/user/evil-name", {}).status == 404
    assert Visitor(site).get("/evil-name").status == 404
    with urlopen(f"{site.url}/metrics") as answer:
        figures = answer.read().decode()
    assert 'verb="dashboard"' in figures
    assert "evil-name" not in figures


@pytest.mark.parametrize(
    "path",
    [
        "/?zone=../../etc/passwd", "/?zone=/etc/passwd", "/?zone=America", "/?zone=localtime", "/?zone=UTC%00",
        "/?range=x", "/?range=30D", "/?from=9999-99-99", "/?to=0001-01-01", "/?from=9999-12-31", "/?from=2027-01-32",
        "/?from=2026-02-01&to=2026-01-01", "/?from=-1", "/?from=1e9", "/?bucket=year", "/?bucket=minute&range=90d",
        "/?compare=1&from=2000-01-02&to=2000-02-01", "/?metric=x", "/?model=%00", "/?service=%00", "/?user=%00",
        "/?" + "&".join(f"a{number}=1" for number in range(1_000)),
        "/user", "/user?user=nobody", "/user?user=kim&after=x", "/user?user=kim&zone=nowhere", "/user?user=%FF%FE",
        "/call", "/call?call=x", f"/call?call={NOBODY}", f"/call?call={NOBODY}&user=nobody", "/prices?version=x",
        "/prices?version=0", "/prices?version=-1", "/prices?version=1_0", "/prices?version=99999999",
        "/prices?version=" + "9" * 5_000, "/prices?unit=x", "/prices?unit=1m",
    ],
    ids=lambda path: path[:40],
)  # fmt: skip
def test_an_address_of_which_no_page_can_be_made_is_refused_with_the_reason(
    visitors: dict[MemberRole, Visitor], path: str
) -> None:
    answer = visitors[MemberRole.OWNER].get(path)
    assert 400 <= answer.status < 500, answer.text
    assert reason_in(answer)


@pytest.mark.parametrize("path", ["/?range=", "/?from=&to=", "/?zone=", "/?model=", "/?user=&bucket=&metric="])
def test_what_a_form_leaves_empty_asks_for_nothing(visitors: dict[MemberRole, Visitor], path: str) -> None:
    assert visitors[MemberRole.OWNER].get(path).status == 200


def test_a_head_that_is_too_large_or_no_http_is_refused(site: Site) -> None:
    for path in (b"/?user=\xff", b"/?" + b"&".join(b"a%d=1" % number for number in range(10_000))):
        assert Visitor(site).get(path).status in {400, 431}


ODD_FORMS = {
    "10,000 fields": "&".join(f"a{number}=1" for number in range(10_000)).encode(),
    "1,000 short fields": b"&".join(b"a=" for _ in range(1_000)),
    "a megabyte": b"user=" + b"x" * 1_000_000,
    "no UTF-8": b"user=\xff\xfe",
    "no UTF-8 behind percent signs": b"user=%ff%c0%80",
    "half a character": b"user=%ed%a0%80",
    "NUL": b"user=%00&amount=%00&delta=%00&reason=%00&hold=%00&answer=%00&key=%00",
    "a huge number": b"user=kim&key=k&reason=r&amount=" + b"9" * 5_000 + b"&delta=" + b"9" * 5_000,
    "just too large": b"user=kim&key=k&reason=r&amount=9223372036854775808&delta=-9223372036854775809",
    "no number": b"user=kim&key=k&reason=r&amount=1e9&delta=NaN",
    "a number by guess": b"user=kim&key=k&reason=r&amount=1,5&delta=1.000",
    "other digits": "user=kim&key=k&reason=r&amount=٣&delta=３".encode(),
    "a day that is none": b"user=kim&key=k&amount=1&expires_on=9999-99-99&delta=1",
    "a day before all others": b"user=kim&key=k&amount=1&expires_on=0001-01-01&zone=Asia/Seoul&delta=1",
    "a zone that is none": b"user=kim&key=k&amount=1&delta=1&reason=r&zone=../../etc/passwd",
    "a source that is none": b"user=kim&key=k&amount=1&source=<i>&delta=1",
    "a long reason": b"user=kim&key=k&delta=1&reason=" + b"x" * 501,
    "a long key": b"user=kim&amount=1&delta=1&reason=r&key=" + b"x" * 300,
    "nested": b"hold=" + NOBODY.encode() + b"&key=k&answer=" + b"[" * 30_000,
    "no form": b"\x00\x01\x02" * 1_000,
}


@pytest.mark.parametrize("what", ODD_FORMS)
def test_an_odd_form_is_refused_with_the_reason(site: Site, visitors: dict[MemberRole, Visitor], what: str) -> None:
    owner = visitors[MemberRole.OWNER]
    with nothing_done(site):
        for path in ("/user/grant", "/user/adjust", "/alerts/release", "/alerts/charge"):
            answer = owner.send(path, f"csrf={owner.csrf}&".encode() + ODD_FORMS[what])
            assert 400 <= answer.status < 500, (path, answer.text)
            assert reason_in(answer), path
        for path in ("/sign-in", "/set-up"):
            assert 400 <= Visitor(site).send(path, ODD_FORMS[what]).status < 500, path


@pytest.mark.parametrize("field", ["user", "next", "name", "token"])
def test_no_line_of_the_head_is_anybody_elses(site: Site, visitors: dict[MemberRole, Visitor], field: str) -> None:
    value = "x\r\nset-cookie: evil=1\r\n\r\n<i>"
    asked = "/sign-in?next=%2Fdashboard%2F%0D%0Aset-cookie:%20evil=1"
    owner = visitors[MemberRole.OWNER]
    for answer in (
        owner.send("/user/block", {"user": value}),
        owner.get("/signed-in?" + asked.partition("?")[2]),
        Visitor(site).get(f"/user?{field}=%0D%0Aset-cookie:%20evil=1"),
        Visitor(site).send("/sign-in", {"name": OWNER, "password": "x", field: value}),
        owner.get("/", x_request_id="x\tset-cookie: evil=1"),
    ):
        assert "evil" not in str(answer.headers.get_all("set-cookie"))
        assert heads(answer.headers).isdisjoint({"evil"})


def heads(headers: Message) -> set[str]:
    return {name.lower() for name in headers}


PARAMETERS = (
    *("range", "from", "to", "zone", "bucket", "metric", "user", "model", "service", "compare", "live", "lang"),
    *("notice", "version", "unit", "price_model", "call", "after", "next", "token", "limit", "sort", "q"),
    *("kind", "asset", "entry", "member", "target"),
)
VALUES = st.one_of(
    st.sampled_from(
        [
            MARK, "kim", "1", "0", "-1", "30d", "mtd", "custom", "day", "hour", "minute", "tokens", "cost", "ko", "UTC",
            "Asia/Seoul", "Australia/Lord_Howe", "text_generation", "gemini-2.5-flash", "1M", "purchase", NOBODY,
            "2026-11-01", "2000-01-01", "8999-12-31", "../../etc/passwd", "\0", "'; DROP TABLE x; --", "{{7*7}}",
            "\"><i>mark</i>", "%s%n", "\r\nx: y", "９", "\u202e", "Ｋ", "nan", "1e400", str(2**63), "9" * 400,
        ]
    ),
    st.text(max_size=30),
    st.dates().map(str),
    st.integers().map(str),
)  # fmt: skip
QUERIES = st.dictionaries(st.sampled_from(PARAMETERS) | st.text(max_size=8), VALUES, max_size=6)


@settings(max_examples=250)
@given(page=st.sampled_from(PAGES), query=QUERIES)
def test_whatever_is_asked_for_is_shown_or_refused(
    site: Site, visitors: dict[MemberRole, Visitor], page: Page, query: dict[str, str]
) -> None:
    answer = visitors[MemberRole.OWNER].get(f"{page.path}?{urlencode(query)}")
    assert answer.status < 500, answer.text
    assert answer.status == 200 or reason_in(answer)
    assert MARK not in answer.text
    assert answer.headers["content-security-policy"] == HEADERS["content-security-policy"]


@pytest.fixture(scope="module")
def own_owner(own_site: Site) -> Iterator[Visitor]:
    yield signed_in(own_site, OWNER)
    assert asyncio.run(differing(own_site)) == 0, "whatever was sent, balances are what the entries add up to"


async def differing(site: Site) -> int:
    connection = await asyncpg.connect(site.database_url)
    try:
        found: int = await connection.fetchval(
            "SELECT count(*) FROM jangbu.balances AS b WHERE b.granted - b.used <> (SELECT coalesce(sum(e.delta), 0)"
            " FROM jangbu.entries AS e WHERE e.account_id = b.account_id AND e.asset = b.asset)"
        )
        return found
    finally:
        await connection.close()


FORM_FIELDS = (
    "user", "amount", "delta", "reason", "key", "source", "expires_on", "order", "hold", "answer", "zone", "call",
    "name", "role", "gateway", "models", "requests_per_minute", "tokens_per_minute", "concurrent_calls", "id",
    "role.api:owner",
)  # fmt: skip


@settings(max_examples=250)
@given(
    place=st.sampled_from(ACTIONS),
    changes=st.dictionaries(st.sampled_from(FORM_FIELDS) | st.text(max_size=8), VALUES, max_size=5),
)
def test_whatever_is_sent_is_done_or_refused(
    own_site: Site, own_owner: Visitor, place: tuple[Page, str, Action], changes: dict[str, str]
) -> None:
    path = path_of(place[0], place[1])
    answer = own_owner.send(path, {"csrf": own_owner.csrf} | FIELDS.get(path, {}) | changes)
    assert answer.status < 500, answer.text
    assert answer.status < 400 or reason_in(answer)
    assert MARK not in answer.text
    assert answer.leads_to.startswith(f"{PREFIX}/") or answer.status != 303
