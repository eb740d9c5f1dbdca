"""Records: the answer is sent, and nothing takes a count."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jangbu.domain.keys import Role
from jangbu.domain.pricing import Meter, Price, Terms
from jangbu.storage import migrate
from tests.api.rest.stage import Stage, answer, record, stage
from tests.faults.server import KillableServer, killable_server
from tests.faults.waiting import become
from tests.metering.outage import is_drained

ERROR = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}


@pytest.fixture
def killable() -> Iterator[KillableServer]:
    with killable_server() as server:
        asyncio.run(migrate.upgrade(server.dsn))
        yield server


async def used(api: Stage, user: str = "kim") -> int:
    return (await api.ledger.accounts.balance(user)).used


async def test_an_answer_is_recorded_and_deducted(api: Stage) -> None:
    made = await api.post("/records", record(metadata={"tags": {"page": "3"}}))
    assert (made.status, made.ok["status"], made.ok["charged_tokens"]) == (201, "created", 450)
    assert (made.ok["user"], made.ok["model"], made.ok["available"]) == ("kim", "gemini-2.5-flash", 999_550)
    explained = (await api.get(f"/calls/{made.ok['id']}")).ok
    assert explained["evidence"] == {"usage": [answer()["usageMetadata"]]}
    assert explained["metadata"] == {"tags": {"page": "3"}, "jangbu_key": await id_of(api)}
    assert explained["sum"] == "prompt 150 + candidates 300 + thoughts 0 + tool 0 = 450, charged 450"
    assert (explained["entry"]["delta"], explained["cost_nano"]) == (-450, made.ok["cost_nano"])


async def id_of(api: Stage, role: str = Role.OWNER) -> str:
    return str((await api.ledger.keys.authenticate(api.secrets[role])).id)


async def test_a_record_says_which_key_sent_it_first_and_nobody_names_anothers(api: Stage) -> None:
    """What a caller attaches keeps all of its room; a repetition by another key changes nothing."""
    room = {"key": "mine", **{str(number): "" for number in range(31)}}
    room["0"] = "x" * (4_096 - len(json.dumps(room, separators=(",", ":"))))
    made = (await api.post("/records", record(metadata=room), once="call-1")).ok
    again = await api.post("/records", record(metadata=room), once="call-1", key=Role.DEVELOPER)
    assert (again.ok["status"], again.ok["id"]) == ("exists", made["id"])
    batch = {"records": [record(2), record(3, metadata={"jangbu_key": await id_of(api)})]}
    first, second = (await api.post("/records/batch", batch, key=Role.DEVELOPER)).ok["results"]
    assert (second["status"], second["error"]["code"]) == ("failed", "invalid_metadata")
    forged = await api.post("/records", record(4, metadata={"jangbu_key": await id_of(api)}))
    assert (forged.status, forged.code, "jangbu_key" in forged.body["detail"]) == (400, "invalid_metadata", True)
    kept = [(await api.get(f"/calls/{call}")).ok["metadata"] for call in (made["id"], first["record"]["id"])]
    assert kept == [room | {"jangbu_key": await id_of(api)}, {"jangbu_key": await id_of(api, Role.DEVELOPER)}]
    assert (await api.get(f"/calls/{made['id']}", key="kim")).ok["metadata"] is None


async def test_what_is_sent_as_text_is_read_as_what_it_is(api: Stage) -> None:
    parts = [{**answer(2), "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7}}, answer(2)]
    stream = "".join(f"data: {json.dumps(part)}\n\n" for part in parts)
    assert (await api.post("/records", record(answer=json.dumps(answer(1))))).ok["charged_tokens"] == 450
    assert (await api.post("/records", record(answer=stream))).ok["charged_tokens"] == 450
    large = json.dumps({**answer(3), "note": "x" * 200_000})
    assert (await api.post("/records", record(answer=large))).ok["charged_tokens"] == 450
    assert await used(api) == 3 * 450


async def test_one_answer_is_recorded_once_whoever_brings_it_and_how_often(api: Stage) -> None:
    first = await api.post("/records", record(), once="call-1")
    for once in ("call-1", "call-2"):
        again = await api.post("/records", record(), once=once)
        assert (again.status, again.ok["status"], again.ok["id"]) == (200, "exists", first.ok["id"])
    other = await api.post("/records", record(answer=answer(2, prompt=9)), once="call-1")
    assert (other.status, other.code) == (409, "idempotency_conflict")
    assert await used(api) == 450


async def test_a_batch_has_a_result_for_each(api: Stage) -> None:
    await api.post("/records", record(1), once="call-1")
    sent = [
        record(1, call_id="call-1"),
        record(2, call_id="call-1b"),
        record(3),
        record(4, user="nobody"),
        {**record(5), "answer": {"no": "answer"}},
        record(6, service="image_generation"),
    ]
    found = (await api.post("/records/batch", {"records": sent}, once="batch-1")).ok["results"]
    assert [each["index"] for each in found] == list(range(6))
    assert [each["status"] for each in found] == ["exists", "created", "created", "failed", "failed", "created"]
    assert [(each["error"] or {}).get("code") for each in found[3:5]] == ["not_found", "invalid_answer"]
    assert [each["record"] and each["record"]["charged_tokens"] for each in found] == [450, 450, 450, None, None, 450]
    again = (await api.post("/records/batch", {"records": sent}, once="batch-1")).ok["results"]
    assert [each["status"] for each in again] == ["exists", "exists", "exists", "failed", "failed", "exists"]
    assert await used(api) == 4 * 450


async def test_a_batch_of_a_thousand_is_recorded_whole(api: Stage) -> None:
    sent = [record(number) for number in range(1_000)]
    found = (await api.post("/records/batch", {"records": sent}, once="thousand")).ok["results"]
    assert {each["status"] for each in found} == {"created"}
    assert await used(api) == 450_000
    again = (await api.post("/records/batch", {"records": sent}, once="thousand")).ok["results"]
    assert {each["status"] for each in again} == {"exists"}
    assert [each["record"]["id"] for each in again] == [each["record"]["id"] for each in found]
    assert await used(api) == 450_000
    assert (await api.post("/records/batch", {"records": [*sent, record(1_001)]})).code == "invalid_input"


async def test_a_batch_conflicts_where_its_key_was_used_for_another_answer(api: Stage) -> None:
    await api.post("/records/batch", {"records": [record(1)]}, once="batch-1")
    other = {"records": [record(answer=answer(2, prompt=9))]}
    (found,) = (await api.post("/records/batch", other, once="batch-1")).ok["results"]
    assert (found["status"], found["error"]["code"]) == ("conflict", "idempotency_conflict")
    twice = {"records": [record(1, call_id="same"), record(2, call_id="same")]}
    assert (await api.post("/records/batch", twice)).code == "invalid_input"
    assert await used(api) == 450


def fields_of(schema: Any, document: Any, seen: set[str]) -> set[str]:
    """Give the names of all fields that a schema has, whatever it refers to."""
    if isinstance(schema, list):
        return set().union(*(fields_of(each, document, seen) for each in schema))
    if not isinstance(schema, dict):
        return set()
    found = set(schema.get("properties", {}))
    reference = schema.get("$ref")
    if reference is not None and reference not in seen:
        seen.add(reference)
        found |= fields_of(document["components"]["schemas"][reference.rpartition("/")[2]], document, seen)
    return found.union(*(fields_of(each, document, seen) for name, each in schema.items() if name != "examples"))


async def test_nothing_that_is_sent_for_a_record_is_a_count(api: Stage) -> None:
    async with api.http.get(f"{api.url}/openapi.json") as found:
        document = await found.json()
    record_fields = {"user", "service", "answer", "surface", "model", "service_tier", "metadata"}
    for path, known in (
        ("/api/v1/records", record_fields),
        (
            "/api/v1/records/batch",
            {"records", "user", "service", "answer", "surface", "model", "metadata", "call_id", "service_tier"},
        ),
        ("/api/v1/holds/{hold}/charge", {"answer", "surface", "model"}),
    ):
        operation = document["paths"][path]["post"]
        assert fields_of(operation["requestBody"], document, set()) == known
        assert {each["name"] for each in operation["parameters"]} <= {"Idempotency-Key", "hold"}


@pytest.mark.parametrize(
    "more",
    [
        {"total_tokens": 5},
        {"tokens": 5},
        {"usage": {"total_tokens": 5}},
        {"answer": 450},
        {"answer": ""},
        {"answer": True},
        {"answer": None},
        {"answer": {}},
        {"answer": "{}"},
        {"answer": [{}]},
        {"answer": {}, "surface": "embed_content"},
        {"answer": ERROR},
        {"answer": [ERROR]},
        {"answer": json.dumps(ERROR)},
        {"answer": f"data: {json.dumps(ERROR)}\n\n"},
        {"answer": {"candidates": []}},
        {"answer": {"usageMetadata": {}}},
        {"answer": {"name": "models/veo-3/operations/1", "done": False}},
        {"service": ""},
        {"service": "x" * 51},
        {"service": "a\u0000b"},
        {"surface": "telepathy"},
        {"metadata": {"a": {"b": {"c": {"d": 1}}}}},
        {"metadata": {"a": "x" * 5_000}},
        {"metadata": []},
        {"user": 5},
        {"user": "x" * 201},
        {"model": 7},
    ],
)
async def test_what_cannot_be_recorded_changes_nothing(api: Stage, more: dict[str, Any]) -> None:
    refused = await api.post("/records", record(**more))
    assert refused.status == 400
    assert refused.code in ("invalid_input", "invalid_answer", "invalid_metadata")
    assert await used(api) == 0
    assert (await api.get("/calls?user=kim")).ok["calls"] == []


async def test_of_a_batch_of_which_answers_were_recorded_before_the_others_are_charged(api: Stage) -> None:
    answers = [record(number)["answer"] for number in range(3)]
    written = [json.dumps({"key": each["responseId"], "response": each}) + "\n" for each in answers]
    lines = "".join(written)
    assert (await api.post("/records", record(1))).status == 201
    rest = await api.post("/records", record(answer=lines), once="a-file")
    assert (rest.status, rest.body["charged_tokens"]) == (201, 900)
    for key in ("a-file", "another"):
        again = await api.post("/records", record(answer=lines), once=key)
        assert (again.status, again.body["id"]) == (200, rest.body["id"])
    # Others of them, which several records are charged for, are no batch that was recorded.
    refused = await api.post("/records", record(answer="".join(written[:2])), once="a-part")
    assert (refused.status, refused.code) == (409, "idempotency_conflict")
    assert await used(api) == 3 * 450


async def test_an_answer_in_utf_16_is_told_by_what_to_do(api: Stage) -> None:
    answer = json.dumps(record()["answer"]).encode("utf-16")
    misread = await api.post("/records", record(answer=answer.decode("latin-1")))
    assert (misread.status, misread.code) == (400, "invalid_answer")
    assert "give it in UTF-8" in misread.body["hint"]


async def test_a_call_that_failed_is_none_to_record_and_keeps_no_other_of_its_batch_out(api: Stage) -> None:
    refused = await api.post("/records", record(answer=ERROR))
    assert (refused.status, refused.code) == (400, "invalid_answer")
    assert "a call that failed deducts nothing" in refused.body["hint"]
    sent = {"records": [record(1), record(2, answer=ERROR), record(3)]}
    found = (await api.post("/records/batch", sent)).ok["results"]
    assert [each["status"] for each in found] == ["created", "failed", "created"]
    assert found[1]["error"]["code"] == "invalid_answer"
    assert await used(api) == 2 * 450


@pytest.mark.parametrize(
    "told",
    [
        {"promptFeedback": {"blockReason": "SAFETY"}},
        {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7}},
        {"candidates": [], "usageMetadata": {"promptTokenCount": 0, "totalTokenCount": 0}},
        {"candidates": [{"finishReason": "SAFETY"}], "usageMetadata": {"promptTokenCount": 0, "totalTokenCount": 0}},
        {"embedding": {"values": [0.1, 0.2]}},
    ],
)
async def test_an_answer_that_was_blocked_or_reports_zero_is_recorded(api: Stage, told: dict[str, Any]) -> None:
    made = await api.post("/records", record(answer={**told, "modelVersion": "gemini-2.5-flash"}))
    assert (made.status, made.ok["charged_tokens"], await used(api)) == (201, 0, 0)
    assert len((await api.get("/calls?user=kim")).ok["calls"]) == 1


@pytest.mark.parametrize(
    "metadata",
    [
        r'{"a": "\u0000"}',
        r'{"a\u0000": 1}',
        r'{"a": "\ud800"}',
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": ' + "9" * 5_000 + "}",
        '{"a": 1, "a": 2}',
        '{"a":' * 50 + "1" + "}" * 50,
        '{"a":' * 5_000 + "1" + "}" * 5_000,
        json.dumps({str(number): number for number in range(33)}),
    ],
    ids=lambda text: text[:20],
)
async def test_metadata_that_cannot_be_kept_is_refused_with_the_reason(api: Stage, metadata: str) -> None:
    whole = json.dumps(record(metadata="-")).replace('"-"', metadata).encode()
    refused = await api.post("/records", whole)
    assert (refused.status, refused.code in ("invalid_input", "invalid_metadata")) == (400, True)
    assert refused.body["detail"]
    together = b'{"records": [' + json.dumps(record(2)).encode() + b", " + whole + b"]}"
    answered = await api.post("/records/batch", together)
    if answered.status == 200:
        # What can be read is judged one by one: the record beside it is not lost.
        assert [each["status"] for each in answered.ok["results"]] == ["created", "failed"]
        assert answered.ok["results"][1]["error"]["code"] == "invalid_metadata"
        assert await used(api) == 450
    else:
        assert (answered.status, answered.code, await used(api)) == (400, "invalid_input", 0)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ([], "no names with values"),
        (None, "no names with values"),
        ("feature=chat", "no names with values"),
        ({"page": 3}, "is int, not text"),
        ({"page": None}, "is NoneType, not text"),
        ({"page": ["3"]}, "is list, not text"),
        ({"": "3"}, "is empty"),
        ({str(number): "" for number in range(33)}, "more than 32"),
        ({"page": "장" * 1_400}, "larger than 4,096 bytes"),
    ],
    ids=lambda sent: str(sent)[:20],
)
async def test_tags_that_no_report_could_tell_apart_are_refused(api: Stage, tags: object, reason: str) -> None:
    wrong = record(2, metadata={"tags": tags})
    refused = await api.post("/records", wrong)
    assert (refused.status, refused.code, reason in refused.body["detail"]) == (400, "invalid_metadata", True)
    whole = record(3, metadata={"tags": {str(number): "" for number in range(32)}})
    made, failed = (await api.post("/records/batch", {"records": [whole, wrong]})).ok["results"]
    assert (made["status"], failed["status"], failed["error"]["code"]) == ("created", "failed", "invalid_metadata")
    assert reason in failed["error"]["detail"]
    assert await used(api) == 450


async def test_names_at_their_bounds_are_taken_and_beyond_them_refused(api: Stage) -> None:
    longest = await api.open("가" * 200)
    named: dict[str, Any] = {"service": "s" * 50, "model": "m" * 200, "metadata": {"a": {"b": {"c": 1}}}}
    assert (await api.post("/records", record(user=longest, **named))).ok["user"] == longest
    for user in ("가" * 201, "a\0b", ""):
        refused = await api.post("/records", record(2, user=user))
        assert 400 <= refused.status < 500
        assert refused.code in ("invalid_input", "not_found")
    assert (await api.post("/records", record(2, model="m" * 201))).code == "invalid_input"


async def test_a_text_is_bounded_and_read_while_the_loop_serves_others(api: Stage) -> None:
    many = json.dumps([{}] * 200_001, separators=(",", ":"))
    assert (await api.post("/records", record(answer=many))).code == "invalid_input"
    assert await used(api) == 0
    heavy = json.dumps([{}] * 20_000, separators=(",", ":"))
    batch = {"records": [record(answer=heavy, call_id=f"call-{each}") for each in range(10)]}
    recording = asyncio.create_task(api.post("/records/batch", batch))
    served = 0
    while not recording.done():
        assert (await api.get("/accounts")).status == 200
        served += 1
    assert recording.result().status == 200
    assert served > 3


async def test_a_batch_waits_once_for_a_database_that_is_away(database_url: str) -> None:
    async with stage(database_url, record_seconds_max=5, spool_bytes_max=0) as api:
        assert (await api.post("/records", record(1))).status == 201
        await api.ledger.database.close()
        began_at = time.monotonic()
        sent = [record(each, call_id=f"call-{each}") for each in range(2, 102)]
        results = (await api.post("/records/batch", {"records": sent})).ok["results"]
    assert {each["error"]["code"] for each in results} == {"database_unreachable"}
    assert time.monotonic() - began_at < 20


async def test_what_a_database_that_is_away_does_not_take_is_accepted_and_recorded_once(
    killable: KillableServer, tmp_path: Path
) -> None:
    async with stage(killable.dsn, spool_dir=tmp_path, spool_after_seconds=1) as api:
        assert (await api.post("/records", record(1), once="call-1")).status == 201
        killable.crash()
        for _ in range(2):
            made = await api.post("/records", record(2), once="call-2")
            assert (made.status, made.ok["status"], made.ok["available"]) == (202, "accepted", None)
        killable.start()
        await become(lambda: is_drained(api.ledger))
        again = await api.post("/records", record(2), once="call-2")
        assert (again.status, again.ok["status"]) == (200, "exists")
        other = await api.post("/records", record(answer=answer(2, prompt=9)), once="call-2")
        assert other.code == "idempotency_conflict"
        assert await used(api) == 900


async def test_services_that_are_begun_are_bounded(database_url: str) -> None:
    async with stage(database_url, services_max=1) as api:
        assert (await api.post("/records", record(1, service="comics"))).status == 201
        assert (await api.post("/records", record(2, service="more"))).code == "invalid_metadata"


async def test_a_record_whose_cost_no_sum_can_hold_is_refused_with_the_reason(api: Stage) -> None:
    """It stays refused however often it comes, and keeps nothing else out."""
    dearest = tuple(
        Price("gemini-2.5-flash", meter, 10**15, "test", unit_size=1) for meter in (Meter.INPUT, Meter.OUTPUT)
    )
    book = api.ledger.pricing.in_force.base
    await api.ledger.pricing.put(book, Terms(overrides=dearest), "a price that nobody pays")
    assert (await api.post("/records", record(1, answer=answer(1)))).status == 201
    filling = [record(number, answer=answer(number)) for number in range(2, 30)]
    results = (await api.post("/records/batch", {"records": filling}, once="filling")).ok["results"]
    refused = [each["error"] for each in results if each["status"] == "failed"]
    assert {each["code"] for each in refused} == {"record_refused"}
    last = record(99, answer=answer(99))
    for _ in range(2):
        told = await api.post("/records", last, once="last")
        assert (told.status, told.code, "retry-after" in told.headers) == (400, "record_refused", False)
        assert "larger than a ledger holds" in told.body["detail"]
        assert "again" not in told.body["detail"]
    free = record(100, answer=answer(100, model="gemini-2.5-pro"))
    assert (await api.post("/records", free)).status == 201
    assert (await api.get("/usage/totals?user=kim")).status == 200
