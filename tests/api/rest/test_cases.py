"""Whatever the document of the API allows, and what it does not, sent by two tenants: no failure of the API's own, no
answer that its document does not describe, and nothing of one tenant in what the other one is told or does.

Some hundreds of cases, always the same; with ``JANGBU_API_CASES=20000`` as many, and others each time. Every operation
has its turn, and whatever a case names is mostly there: it shows little that what is not there is
not found. How many cases each operation had, and how many of them succeeded, is printed (``pytest -s``).
"""

import asyncio
import json
import os
import sys
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from random import SystemRandom
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok

from jangbu.clock import new_id
from jangbu.domain.flow import Bounds, Call, TakeHold
from jangbu.metering import channels
from tests.api.rest.stage import ROLES, USERS, Stage, answer, stage
from tests.api.rest.test_verification import ended

CASES = int(os.environ.get("JANGBU_API_CASES", "400"))
FIRST = SystemRandom().randrange(2**32) if "JANGBU_API_CASES" in os.environ else 0
"""What the cases are drawn from."""
A_ROUND = 20
"""How many cases an operation has until the others have their turn: what one leaves behind, the next ones meet."""
MARK = "neighbour-7f3a91"
"""What stands in all that the other tenant calls by a name of its own."""
USER = f"{MARK}-user"
OWN = "own-52c0de"
"""What stands in all that the tenant who sends the cases calls by a name of its own."""
MANY = 40
"""How many calls and holds that tenant has: each is corrected, charged or released once."""
SHARED = ("user", "kind", "condition", "channel")
"""What both tenants may have by the same name, so that it tells nothing of either."""
DESCRIBED = ("status_code_conformance", "content_type_conformance", "response_schema_conformance")
DAYS = {"first": "2026-11-01", "last": "2026-11-20"}
"""Days of which there are figures; two that are drawn are hardly ever in order."""


@dataclass(frozen=True)
class Tenant:
    """One of the two: what identifies its things, and what is shown of them."""

    ids: dict[str, tuple[str, ...]]
    """By the name of a parameter of a path, of a query or of a body."""
    shown: Any

    @property
    def words(self) -> set[str]:
        """What nobody else may be told."""
        return {MARK, *(each for name, ids in self.ids.items() if name not in SHARED for each in ids)}


@dataclass
class Tally:
    """How many cases each operation had, by the status of their answers."""

    counted: dict[str, Counter[int]] = field(default_factory=dict)

    def count(self, operation: str, status: int) -> None:
        self.counted.setdefault(operation, Counter())[status] += 1

    def succeeded(self, operation: str) -> int:
        return sum(number for status, number in self.counted[operation].items() if 200 <= status < 300)

    def __str__(self) -> str:
        lines = [
            f"{operation:60} {statuses.total():6} {self.succeeded(operation) / statuses.total():5.0%} "
            + " ".join(f"{status}:{number}" for status, number in sorted(statuses.items()))
            for operation, statuses in sorted(self.counted.items())
        ]
        total = sum(each.total() for each in self.counted.values())
        good = sum(map(self.succeeded, self.counted))
        return "\n".join([*lines, f"{'all':60} {total:6} {good / max(total, 1):5.0%}"])


async def settle_in(api: Stage, mark: str, *, many: int = 3) -> Tenant:
    """Have a tenant have one of everything."""
    user = f"{mark}-user"
    await api.open(user)
    await api.ledger.keys.create_for_user(user, name=mark)
    made = []
    for number in range(many):
        sent = {"user": user, "service": mark, "answer": odd(number, mark), "metadata": {"note": mark}}
        made.append((await api.post("/records", sent)).ok["id"])
    await api.post(f"/accounts/{user}/adjustments", {"delta": 5, "reason": mark})
    await api.post(f"/accounts/{user}/money/grants", {"amount_nano": 5, "source": mark})
    await api.post("/prices/own", {"model": mark, "meter": "input", "price_nano": 5, "source": mark, "note": mark})
    held = [await _held(api, user, mark) for _ in range(many)]
    run: str = (await api.post("/verification", {})).ok["id"]
    await ended(api, run)
    await api.post(f"/accounts/{user}/findings/{made[0]}/anomaly/acknowledge")
    await api.post("/alerts/mutes", {"condition": "late", "minutes": 5, "reason": mark})
    await api.post("/alerts/channels/log/test")
    keys = (await api.get("/keys?limit=1000")).ok["keys"]
    gone = f"{mark}-gone"
    await api.post("/accounts", {"user": gone})
    ids = {
        "user": (user,),
        "gone": (gone,),
        "call": tuple(made),
        "hold": tuple(held),
        # With the keys of the tenant's own the cases are sent, so none of those is revoked.
        "key": tuple(each["id"] for each in keys if mark == MARK or each["name"] == mark),
        "run": (run,),
        "event": (await _told(api, user),),
        "kind": ("anomaly",),
        "condition": ("unpriced",),
        "channel": ("log",),
    }
    return Tenant(ids, await shown(api, user))


def odd(number: int, model: str) -> Any:
    """Give an answer whose counts do not add up, so that its call has a finding that somebody may resolve."""
    sent = answer(number, model=model)
    sent["usageMetadata"]["totalTokenCount"] += 5
    return sent


async def _held(api: Stage, user: str, mark: str) -> str:
    call = Call(new_id(api.ledger.clock), user, mark, mark, Bounds(100, 50, True))
    await api.ledger.execute(TakeHold(call, base=100, least=150, most=150, take_all=False))
    await api.ledger.holds.mark_unknown(api.ledger.accounts.id_of(user), call.id, mark)
    return str(call.id)


async def _told(api: Stage, user: str) -> str:
    """Have the app have been told something of the user."""
    event = new_id(api.ledger.clock)
    async with api.ledger.database.connection() as connection:
        await connection.execute(
            "INSERT INTO jangbu.webhook_events (id, project, kind, user_id, facts, delivered_at)"
            " VALUES ($1, $2, 'call.refused', $3, '{\"calls\": 3}', clock_timestamp())",
            event,
            api.settings.project,
            user,
        )
    return str(event)


async def shown(api: Stage, user: str) -> Any:
    """Give all that a tenant's owner sees, but for when keys were used."""
    pages: dict[str, Any] = {}
    for path in (
        "/accounts",
        *(f"/accounts/{user}{more}" for more in ("", "/entries", "/grants", "/money", "/money/entries")),
        f"/calls?user={user}",
        "/holds?state=open&state=unknown&state=released&state=expired",
        "/keys?limit=1000",
        "/prices/versions",
        "/usage/totals",
        "/usage/daily",
        "/cost?by=user",
        "/verification",
        "/webhooks/events",
        "/findings",
        "/alerts/mutes",
        "/alerts/channels",
    ):
        pages[path] = (await api.get(path)).ok
    for key in pages["/keys?limit=1000"]["keys"]:
        del key["last_used_at"]
    return pages


async def test_no_case_fails_of_itself_or_crosses_to_the_other_tenant(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A channel that may be tested twice a minute would refuse nearly all of its cases.
    monkeypatch.setattr(channels, "_EVERY_SECONDS", 0)
    async with stage(database_url, project=MARK) as theirs, stage(database_url) as mine:
        other = await settle_in(theirs, MARK)
        own = await settle_in(mine, OWN, many=MANY)
        async with mine.http.get(f"{mine.url}/openapi.json") as found:
            document = await found.json()
        tally = Tally()
        try:
            await asyncio.to_thread(run, document, mine, own, other, tally)
        finally:
            sys.stdout.write(f"\n{tally}\n")
        assert await shown(theirs, USER) == other.shown, "what one tenant does changes nothing of another"
    never = {each for each, had in tally.counted.items() if had.total() >= A_ROUND and not tally.succeeded(each)}
    assert never == set(), "cases that are all refused prove little"


def run(document: Any, mine: Stage, own: Tenant, other: Tenant, tally: Tally) -> None:
    """Send the cases, from a thread beside the server's loop."""
    schema = schemathesis.openapi.from_dict(document)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    load_all_checks()
    checks = CHECKS.get_by_names(("not_a_server_error", *DESCRIBED))
    numbers = count()
    keys = [mine.secrets[name] for name in (*ROLES, *USERS)]

    def each(operation: Any, data: Any) -> None:
        case = drawn(data, operation, document, (own, other), next(numbers))
        # An owner's key comes first: it may do everything.
        secret = data.draw(st.sampled_from([*keys[:1] * 16, *keys]))
        response = case.call(base_url=mine.url, headers={"authorization": f"Bearer {secret}"})
        tally.count(operation.label, response.status_code)
        case.validate_response(response, checks=checks)
        told = response.content.decode("utf-8", "replace") + json.dumps(dict(response.headers))
        asked = json.dumps([case.path_parameters, case.query, str(case.body)], default=str)
        crossed = {word for word in other.words if word in told and word not in asked}
        assert crossed == set(), f"{case.as_curl_command()} was told of {crossed}"

    wanted = max(-(-CASES // len(operations)), 4)
    for turn, done in enumerate(range(0, wanted, A_ROUND)):
        for operation in operations:
            send(lambda data, operation=operation: each(operation, data), min(A_ROUND, wanted - done), FIRST + turn)


def send(each: Any, most: int, drawn_from: int) -> None:
    """Have ``each`` draw so many cases."""

    @seed(drawn_from)
    @settings(
        max_examples=most,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def drawing(data: Any) -> None:
        # Without it an operation that takes nothing would be sent once for each key.
        data.draw(st.integers(0, 2**32))
        each(data)

    drawing()


def drawn(data: Any, operation: Any, document: Any, tenants: tuple[Tenant, Tenant], number: int) -> Any:
    """Draw a case; mostly what it names is there, half of the bodies are the document's own examples."""
    positive = GenerationMode.POSITIVE
    mode = data.draw(st.sampled_from([positive, positive, positive, GenerationMode.NEGATIVE]))
    case = data.draw(operation.as_strategy(generation_mode=mode))
    own, other = tenants

    def named(name: str) -> Any:
        # The tenant's own come first, which are there; then the other's, which have to seem not to be.
        ids = own.ids[name]
        return data.draw(st.sampled_from([*ids, *(ids[:1] * 3), *other.ids[name]]))

    for name in case.path_parameters:
        if name in own.ids and data.draw(st.integers(0, 3)):
            case.path_parameters[name] = named(name)
    if operation.path.endswith("/erase") and "user" in case.path_parameters:
        # Whoever is erased is no user any more to whom anything else could be done.
        case.path_parameters["user"] = named("gone")
    for name in case.query or {}:
        if name in own.ids and data.draw(st.integers(0, 3)):
            case.query[name] = named(name)
    if mode is positive and case.method == "GET" and data.draw(st.booleans()):
        # Cursors and windows that nobody gave out are refused, so most drawn queries are.
        kept = ("user", "limit", "by", "kind", *DAYS)
        case.query = {name: DAYS.get(name, value) for name, value in (case.query or {}).items() if name in kept}
    if case.method == "POST" and data.draw(st.integers(0, 7)):
        case.headers["Idempotency-Key"] = f"case-{number}"
    if case.method == "POST" and data.draw(st.integers(0, 2)):
        case.body = example_of(operation, document)
        for part in (case.body, *case.body.get("records", ())):
            part |= {name: named(name) for name in ("user", "call") if name in part}
            part |= {name: f"{value}-{number}" for name, value in part.items() if name == "call_id"}
        if operation.path.endswith("/accounts"):
            # Who opens an account of the other's name has one of their own, and is told that name from then on.
            case.body["user"] = f"{OWN}-{number}"
    return case


def example_of(operation: Any, document: Any) -> dict[str, Any]:
    """Give a copy of the example that the document shows of an operation's body; an empty one where it shows none."""
    content = operation.definition.raw.get("requestBody", {}).get("content", {})
    shown = content.get("application/json", {}).get("schema", {})
    if "$ref" in shown:
        shown = document["components"]["schemas"][shown["$ref"].rpartition("/")[2]]
    found: dict[str, Any] = json.loads(json.dumps(next(iter(shown.get("examples", [])), {})))
    return found
