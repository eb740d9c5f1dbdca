"""Whatever the document of the API allows, and what it does not, sent by two tenants: no failure of the API's own, no
answer that its document does not describe, and nothing of one tenant in what the other one is told or does.

Some hundreds of cases, always the same; with ``JANGBU_API_CASES=20000`` as many, and others each time.
"""

import asyncio
import json
import os
from dataclasses import dataclass
from itertools import count
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok

from jangbu.clock import new_id
from jangbu.domain.flow import Bounds, Call, TakeHold
from tests.api.rest.stage import ROLES, USERS, Stage, answer, stage
from tests.api.rest.test_verification import ended

CASES = int(os.environ.get("JANGBU_API_CASES", "200"))
MARK = "neighbour-7f3a91"
"""What stands in all that the other tenant calls by a name of its own."""
USER = f"{MARK}-user"
DESCRIBED = ("status_code_conformance", "content_type_conformance", "response_schema_conformance")


@dataclass(frozen=True)
class Neighbour:
    """The other tenant: what identifies its things, and what is shown of them."""

    ids: dict[str, tuple[str, ...]]
    """By the name of a parameter of a path."""
    secret: str
    shown: Any

    @property
    def words(self) -> set[str]:
        """What nobody else may be told."""
        return {MARK, *(each for name, ids in self.ids.items() if name != "user" for each in ids)}


async def settle_in(api: Stage) -> Neighbour:
    """Have a tenant have one of everything."""
    await api.open(USER)
    _, secret = await api.ledger.keys.create_for_user(USER, name=MARK)
    made = []
    for number in range(3):
        sent = {"user": USER, "service": MARK, "answer": answer(number, model=MARK), "metadata": {"note": MARK}}
        made.append((await api.post("/records", sent)).ok["id"])
    await api.post(f"/accounts/{USER}/adjustments", {"delta": 5, "reason": MARK})
    await api.post(f"/accounts/{USER}/money/grants", {"amount_nano": 5, "source": MARK})
    await api.post("/prices/own", {"model": MARK, "meter": "input", "price_nano": 5, "source": MARK, "note": MARK})
    call = Call(new_id(api.ledger.clock), USER, MARK, MARK, Bounds(100, 50, True))
    await api.ledger.execute(TakeHold(call, base=100, least=150, most=150, take_all=False))
    await api.ledger.holds.mark_unknown(api.ledger.accounts.id_of(USER), call.id, MARK)
    run: str = (await api.post("/verification", {})).ok["id"]
    await ended(api, run)
    keys = (await api.get("/keys?limit=1000")).ok["keys"]
    ids = {
        "user": (USER,),
        "call": tuple(made),
        "hold": (str(call.id),),
        "key": tuple(each["id"] for each in keys),
        "run": (run,),
    }
    return Neighbour(ids, secret, await shown(api))


async def shown(api: Stage) -> Any:
    """Give all that a tenant's owner sees, but for when keys were used."""
    pages: dict[str, Any] = {}
    for path in (
        "/accounts",
        *(f"/accounts/{USER}{more}" for more in ("", "/entries", "/grants", "/money", "/money/entries")),
        f"/calls?user={USER}",
        "/holds?state=open&state=unknown&state=released&state=expired",
        "/keys?limit=1000",
        "/prices/versions",
        "/usage/totals",
        "/usage/daily",
        "/cost?by=user",
        "/verification",
    ):
        pages[path] = (await api.get(path)).ok
    for key in pages["/keys?limit=1000"]["keys"]:
        del key["last_used_at"]
    return pages


async def test_no_case_fails_of_itself_or_crosses_to_the_other_tenant(database_url: str) -> None:
    async with stage(database_url, project=MARK) as theirs, stage(database_url) as mine:
        other = await settle_in(theirs)
        async with mine.http.get(f"{mine.url}/openapi.json") as found:
            document = await found.json()
        await asyncio.to_thread(run, document, mine, other)
        assert await shown(theirs) == other.shown, "what one tenant does changes nothing of another"


def run(document: Any, mine: Stage, other: Neighbour) -> None:
    """Send the cases, from a thread beside the server's loop."""
    schema = schemathesis.openapi.from_dict(document)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    load_all_checks()
    checks = CHECKS.get_by_names(("not_a_server_error", *DESCRIBED))
    numbers = count()
    keys = [mine.secrets[name] for name in (*ROLES, *USERS)]

    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        derandomize="JANGBU_API_CASES" not in os.environ,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def each(data: Any) -> None:
        operation = data.draw(st.sampled_from(operations))
        mode = data.draw(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        for name in case.path_parameters:
            known = ("kim", *other.ids["user"]) if name == "user" else other.ids.get(name, ())
            if known and data.draw(st.booleans()):
                case.path_parameters[name] = data.draw(st.sampled_from(known))
        if case.method == "POST" and data.draw(st.booleans()):
            case.headers["Idempotency-Key"] = f"case-{next(numbers)}"
        # An owner's key comes first: it may do everything.
        secret = data.draw(st.sampled_from([keys[0], *keys]))
        response = case.call(base_url=mine.url, headers={"authorization": f"Bearer {secret}"})
        case.validate_response(response, checks=checks)
        told = response.content.decode("utf-8", "replace") + json.dumps(dict(response.headers))
        asked = json.dumps([case.path_parameters, case.query, str(case.body)], default=str)
        crossed = {word for word in other.words if word in told and word not in asked}
        assert crossed == set(), f"{case.as_curl_command()} was told of {crossed}"

    each()
