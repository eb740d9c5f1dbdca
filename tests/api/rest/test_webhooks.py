"""What the app was told is listed for those who may see users, and sent again by those who operate."""

from uuid import uuid4

from tests.api.rest.stage import Stage


async def _told(api: Stage, kind: str, user: str) -> str:
    event = uuid4()
    async with api.ledger.database.connection() as connection:
        await connection.execute(
            "INSERT INTO jangbu.webhook_events (id, project, kind, user_id, facts, delivered_at)"
            " VALUES ($1, 'default', $2, $3, '{\"calls\": 3}', CASE WHEN $3 = 'kim' THEN clock_timestamp() END)",
            event,
            kind,
            user,
        )
    return str(event)


async def test_events_are_listed_newest_first_and_by_what_is_asked_for(api: Stage) -> None:
    first, second, third = [
        await _told(api, kind, user)
        for kind, user in (("call.refused", "kim"), ("balance.low", "kim"), ("call.refused", "lee"))
    ]
    shown = (await api.get("/webhooks/events?limit=2")).ok
    assert [each["id"] for each in shown["events"]] == [third, second]
    rest = (await api.get(f"/webhooks/events?limit=2&cursor={shown['next']}")).ok
    assert ([each["id"] for each in rest["events"]], rest["next"]) == ([first], None)
    refused = (await api.get("/webhooks/events?type=call.refused&undelivered=true")).ok["events"]
    assert [(each["id"], each["state"], each["data"]) for each in refused] == [
        (third, "waiting", {"user": "lee", "calls": 3})
    ]
    assert (await api.get("/webhooks/events?type=call.lost")).code == "invalid_input"


async def test_an_event_is_sent_again_once_for_its_key(api: Stage) -> None:
    event = await _told(api, "call.refused", "kim")
    again = await api.post(f"/webhooks/events/{event}/send-again", once="again")
    assert (again.ok["state"], again.ok["replayed"]) == ("waiting", False)
    assert (await api.post(f"/webhooks/events/{event}/send-again", once="again")).ok["replayed"]
    other = await _told(api, "call.refused", "lee")
    assert (await api.post(f"/webhooks/events/{other}/send-again", once="again")).code == "idempotency_conflict"
    assert (await api.post(f"/webhooks/events/{uuid4()}/send-again")).code == "not_found"


async def test_what_was_given_up_is_sent_again_by_type_and_user_once_for_its_key(api: Stage) -> None:
    given = [
        await _told(api, kind, user)
        for kind, user in (("call.refused", "lee"), ("balance.low", "lee"), ("call.refused", "park"))
    ]
    async with api.ledger.database.connection() as connection:
        await connection.execute("UPDATE jangbu.webhook_events SET given_up_at = clock_timestamp()")
    of_lee = {"type": "call.refused", "user": "lee"}
    sent = [(await api.post("/webhooks/events/send-again", of_lee, once="all")).ok for _ in range(2)]
    assert [(each["sent_again"], each["replayed"]) for each in sent] == [(1, False), (0, True)]
    waiting = (await api.get("/webhooks/events?state=waiting")).ok["events"]
    assert [each["id"] for each in waiting] == given[:1]
    assert (await api.post("/webhooks/events/send-again", {}, once="all")).code == "idempotency_conflict"
    assert (await api.post("/webhooks/events/send-again", {})).ok["sent_again"] == 2
    assert (await api.post("/webhooks/events/send-again", {"type": "call.lost"})).code == "invalid_input"


async def test_an_event_of_another_project_does_not_exist(api: Stage) -> None:
    event = await _told(api, "call.refused", "kim")
    async with api.ledger.database.connection() as connection:
        await connection.execute("UPDATE jangbu.webhook_events SET project = 'other'")
    assert (await api.get("/webhooks/events")).ok["events"] == []
    assert (await api.post(f"/webhooks/events/{event}/send-again")).code == "not_found"
