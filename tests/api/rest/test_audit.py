"""Every write has its line in the audit, once, in the name of the key that was shown and of the request it came in."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest

from jangbu.api.rest.parts import ROUTES
from jangbu.clock import new_id
from jangbu.domain.flow import Bounds, Call, TakeHold
from jangbu.domain.keys import Role
from jangbu.domain.ledger import erased_name
from jangbu.domain.members import ActorKind
from tests.api.rest.stage import Stage, answer, record

DREAM = "gemini-99-dream"
NOBODYS = UUID(int=1)
WITHOUT_A_LINE = {
    "records.create": "a record of usage is the ledger itself",
    "records.batch": "a record of usage is the ledger itself",
    "view_tokens.create": "it changes nothing: a token is kept nowhere, and one is made for each page that is opened",
}
"""The routes that are no changes, and why. Whatever else is not read has its line."""

WRITES = {
    "accounts.create": ("/accounts", {"user": "new"}, "account.create", "account:new"),
    "accounts.block": ("/accounts/kim/block", None, "account.block", "account:kim"),
    "accounts.unblock": ("/accounts/kim/unblock", None, "account.unblock", "account:kim"),
    "accounts.erase": ("/accounts/gone/erase", None, "account.erase", "account:{gone}"),
    "accounts.grant": ("/accounts/kim/grants", {"amount": 5}, "account.grant", "account:kim"),
    "corrections.refund": (
        "/accounts/kim/refunds",
        {"call": "{call}", "amount": 1, "reason": "r"},
        "account.refund",
        "account:kim",
    ),
    "corrections.void": ("/accounts/kim/voids", {"call": "{call}", "reason": "r"}, "account.void", "account:kim"),
    "corrections.adjust": ("/accounts/kim/adjustments", {"delta": -1, "reason": "r"}, "account.adjust", "account:kim"),
    "money.grant": ("/accounts/kim/money/grants", {"amount_nano": 5}, "account.grant", "account:kim"),
    "money.adjust": (
        "/accounts/kim/money/adjustments",
        {"delta_nano": 1, "reason": "r"},
        "account.adjust",
        "account:kim",
    ),
    "holds.charge": ("/holds/{charged}/charge", {"answer": answer(7)}, "hold.charge", "hold:{charged}"),
    "holds.release": ("/holds/{released}/release", {"reason": "no answer"}, "hold.release", "hold:{released}"),
    "prices.write": (
        "/prices/versions",
        {"entries": [{"models": [DREAM], "usd": {"input": "1"}, "source": "s"}]},
        "prices.change",
        "prices",
    ),
    "prices.write_own": (
        "/prices/own",
        {"model": DREAM, "meter": "output", "price_nano": 1, "source": "s"},
        "prices.change",
        "prices",
    ),
    "prices.write_markup": ("/prices/markup", {"parts_per_million": 5}, "prices.change", "prices"),
    "prices.backfill": ("/prices/backfill", {}, "prices.backfill", "prices"),
    "prices.remove_own": ("/prices/own/remove", {"model": DREAM, "meter": "output"}, "prices.change", "prices"),
    "keys.create": ("/keys", {"name": "new", "scopes": ["api:analytics"]}, "keys.create", None),
    "keys.revoke": ("/keys/{key}/revoke", None, "keys.revoke", "key:{key}"),
    "view_tokens.revoke": ("/view-tokens/revoke", None, "view_tokens.revoke", "view_tokens"),
    "findings.acknowledge": (
        "/accounts/kim/findings/{odd}/anomaly/acknowledge",
        None,
        "finding.acknowledge",
        "call:{odd}",
    ),
    "findings.resolve": (
        "/accounts/kim/findings/{odd}/anomaly/resolve",
        {"reason": "looked at"},
        "finding.resolve",
        "call:{odd}",
    ),
    "mutes.mute": (
        "/alerts/mutes",
        {"condition": "unpriced", "minutes": 5, "reason": "r"},
        "alerts.mute",
        "condition:unpriced",
    ),
    "mutes.end": ("/alerts/mutes/unpriced/end", None, "alerts.unmute", "condition:unpriced"),
    "channels.test": ("/alerts/channels/log/test", None, "channel.test", "channel:log"),
    "verification.start": ("/verification", {"full": False}, "verification.start", "ledger"),
    "webhooks.send_again": (
        "/webhooks/events/{event}/send-again",
        None,
        "webhook.send_again",
        "event:{event}",
    ),
    "webhooks.send_all_again": ("/webhooks/events/send-again", {}, "webhook.send_again", "events"),
}
"""What is sent to a route, and the action and the target of its line. They are sent in this order."""


@dataclass(frozen=True)
class Named:
    """What the paths, bodies and targets name."""

    things: dict[str, str]

    def fill(self, value: Any) -> Any:
        """Put the things in the places of their names."""
        if isinstance(value, dict):
            return {name: self.fill(each) for name, each in value.items()}
        if isinstance(value, str):
            for name, thing in self.things.items():
                value = value.replace(f"{{{name}}}", thing)
        return value


async def test_every_write_has_one_line_however_often_it_is_sent(api: Stage) -> None:
    named = Named(await things(api))
    owner = await api.ledger.keys.authenticate(api.secrets[Role.OWNER])
    for name, (path, body, action, target) in WRITES.items():
        known = {line.id for line in await api.ledger.audit.page(1_000)}
        answered = [await api.post(named.fill(path), named.fill(body), once=f"once-{name}") for _ in range(2)]
        assert [200 <= each.status < 300 for each in answered] == [True, True], (name, answered)
        lines = [line for line in await api.ledger.audit.page(1_000) if line.id not in known]
        assert [line.action for line in lines] == [action], name
        assert target is None or lines[0].target == named.fill(target), name
        actor = lines[0].actor
        assert (actor.kind, actor.id, actor.name) == (ActorKind.KEY, owner.id, "OWNER"), name
        assert actor.request_id == answered[0].headers["x-request-id"], name


def test_a_new_route_that_writes_is_in_the_audit_or_says_why_not() -> None:
    writing = {each.name for routes in ROUTES for each in routes if each.method != "GET"}
    assert set(WRITES) | set(WITHOUT_A_LINE) == writing
    assert not set(WRITES) & set(WITHOUT_A_LINE)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/accounts/nobody/grants", {"amount": 5}),
        ("/accounts/kim/grants", {"amount": 0}),
        ("/accounts/nobody/block", None),
        (f"/keys/{NOBODYS}/revoke", None),
        (f"/holds/{NOBODYS}/release", {"reason": "no answer"}),
        (f"/accounts/kim/findings/{NOBODYS}/late/acknowledge", None),
        (f"/accounts/kim/findings/{NOBODYS}/unpriced/resolve", {"reason": "r"}),
        ("/alerts/mutes", {"condition": "recording_failed", "minutes": 61, "reason": "r"}),
        ("/alerts/channels/pigeon/test", None),
        ("/prices/own", {"model": DREAM, "meter": "output", "price_nano": -1, "source": "s"}),
        ("/prices/own/remove", {"model": DREAM, "meter": "output"}),
    ],
)
async def test_what_is_refused_leaves_no_line(api: Stage, path: str, body: Any) -> None:
    before = await api.ledger.audit.page(1_000)
    assert (await api.post(path, body)).status >= 400
    assert await api.ledger.audit.page(1_000) == before


async def test_what_changes_nothing_leaves_no_line(api: Stage) -> None:
    await api.post("/accounts/kim/block")
    markup = {"parts_per_million": 5}
    await api.post("/prices/markup", markup)
    before = await api.ledger.audit.page(1_000)
    for path, body in (
        ("/accounts", {"user": "kim"}),
        ("/accounts/kim/block", None),
        ("/prices/markup", markup),
        ("/prices/backfill", {}),
        ("/alerts/mutes/unpriced/end", None),
        ("/webhooks/events/send-again", {}),
    ):
        assert (await api.post(path, body)).status == 200
    assert (await api.post("/prices/versions?dry_run=true", WRITES["prices.write"][1])).ok["is_new"]
    assert await api.ledger.audit.page(1_000) == before


async def things(api: Stage) -> dict[str, str]:
    """Make what is written about: calls and findings, holds whose outcome is unknown, a key, events."""
    call = (await api.post("/records", record(1))).ok["id"]
    assert (await api.post("/records", record(2, answer=answer(2, model=DREAM)))).ok["cost_nano"] is None
    odd = answer(3)
    odd["usageMetadata"]["totalTokenCount"] += 5
    strange = (await api.post("/records", record(3, answer=odd))).ok["id"]
    held = [
        Call(new_id(api.ledger.clock), "kim", "text_generation", "gemini-2.5-flash", Bounds(100, 50, True))
        for _ in range(2)
    ]
    for taken in held:
        await api.ledger.execute(TakeHold(taken, base=100, least=150, most=150, take_all=False))
        await api.ledger.holds.mark_unknown(api.ledger.accounts.id_of("kim"), taken.id, "it broke off")
    key, _ = await api.ledger.keys.create_for_app("old")
    await api.ledger.accounts.create("gone")
    event = uuid4()
    async with api.ledger.database.connection() as connection:
        for each, ended in ((event, "delivered_at"), (uuid4(), "given_up_at")):
            await connection.execute(
                f"INSERT INTO jangbu.webhook_events (id, project, kind, user_id, facts, {ended})"
                " VALUES ($1, 'default', 'call.refused', 'kim', '{\"calls\": 3}', clock_timestamp())",
                each,
            )
    return {
        "call": call,
        "odd": strange,
        "gone": erased_name(api.ledger.accounts.id_of("gone")),
        "charged": str(held[0].id),
        "released": str(held[1].id),
        "key": str(key.id),
        "event": str(event),
    }
