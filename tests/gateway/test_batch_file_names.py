"""Until a batch has ended, the files that it reads stay what they were judged by, whoever would change them."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from jangbu.clock import new_id
from jangbu.metering.resources import ResourceKind
from tests.gateway.book import asked as asked_database
from tests.gateway.book import came, holds, require_sound
from tests.gateway.raw import until
from tests.gateway.stage import Stage, asked, inline
from tests.gateway.test_batch_files import lines, reading
from tests.gateway.test_later import BATCH, from_file, started
from tests.gateway.test_uploads import START, sent

NAME = "files/episode-1"
LINES = lines(asked("one", maxOutputTokens=50))
DEARER = lines(*[asked("one", maxOutputTokens=60_000)] * 9)


@pytest.fixture(autouse=True)
async def clean_book(served: Stage) -> AsyncIterator[None]:
    """Let there be lee beside kim; whatever they did, the book adds up afterwards."""
    await served.open("lee")
    yield
    await require_sound(served)


async def upload(
    served: Stage, data: bytes = LINES, *, name: str = NAME, user: str = "kim", about: Any = None
) -> tuple[int, Any]:
    """Upload a file under a chosen name in one request; give the status and the answer."""
    described = json.dumps({"file": {"name": name, "mimeType": "text/plain"}} if about is None else about).encode()
    body = b"--x\r\ncontent-type: application/json\r\n\r\n" + described
    body += b"\r\n--x\r\ncontent-type: text/plain\r\n\r\n" + data + b"\r\n--x--\r\n"
    headers = {"x-goog-upload-protocol": "multipart", "content-type": "multipart/related; boundary=x"}
    status, answer, _ = await served.post("/upload/v1beta/files", body, user=user, **headers)
    return status, answer


async def begun(served: Stage, user: str = "kim") -> tuple[int, str]:
    """Begin a resumable upload under the name; give the status and where it goes on."""
    status, _, headers = await served.post("/upload/v1beta/files", {"file": {"name": NAME}}, user=user, **START)
    return status, headers.get("x-goog-upload-url", "")


async def deleted(served: Stage, name: str = NAME) -> tuple[int, Any]:
    """Delete a file; give the status and the answer."""
    return await served.get(f"/v1beta/{name}", method="DELETE")


async def ended(served: Stage, batch: str) -> None:
    """See a batch to its end."""
    while not (await served.get(f"/v1beta/{batch}"))[1].get("done"):
        pass


def is_read(answer: Any) -> bool:
    """Tell whether this was refused because a batch reads the file."""
    error = answer["error"]
    return error["status"] == "FAILED_PRECONDITION" and "is read by a batch that has not ended" in error["message"]


async def test_a_file_with_the_requests_of_a_batch_is_deleted_once_that_has_ended(served: Stage) -> None:
    assert (await upload(served))[0] == 200
    await started(served, from_file(NAME))
    status, answer = await deleted(served)
    assert (status, is_read(answer)) == (400, True)
    assert f"DELETE /v1beta/{NAME}" not in came(served)
    # The provider says that it has ended when it is asked again, which whoever deletes has it be.
    assert (await deleted(served))[0] == 200
    assert (await upload(served, DEARER))[0] == 200


async def test_who_saw_the_end_of_a_batch_deletes_its_file_at_once(served: Stage) -> None:
    assert (await upload(served))[0] == 200
    batch, _ = await started(served, from_file(NAME))
    await ended(served, batch)
    before = len(served.gemini.requests())
    assert (await deleted(served))[0] == 200
    assert came(served, since=before) == [f"DELETE /v1beta/{NAME}"]


@pytest.mark.parametrize("body", ["lines", "inline"])
async def test_a_file_that_requests_of_a_batch_name_is_kept_too(served: Stage, body: str) -> None:
    await served.ledger.accounts.grant("kim", 10_000_000, key="more")
    assert (await upload(served, b"a picture"))[0] == 200
    given = inline(reading(NAME))
    if body == "lines":
        assert (await upload(served, lines(reading(NAME)), name="files/requests"))[0] == 200
        given = from_file("files/requests")
    await started(served, given)
    status, answer = await deleted(served)
    assert (status, is_read(answer)) == (400, True)


async def test_a_name_that_a_batch_reads_by_is_nobodys_to_give(served: Stage) -> None:
    assert (await upload(served))[0] == 200
    batch, _ = await started(served, from_file(NAME))
    before = len(served.gemini.requests())
    for user in ("kim", "lee"):
        status, answer = await upload(served, DEARER, user=user)
        assert (status, is_read(answer)) == (400, True)
        assert (await begun(served, user))[0] == 400
    assert came(served, since=before) == []
    await ended(served, batch)
    assert (await deleted(served))[0] == 200
    assert (await upload(served, DEARER, user="lee"))[0] == 200


async def test_a_name_stays_a_batchs_also_when_the_file_has_expired(served: Stage) -> None:
    assert (await upload(served))[0] == 200
    await started(served, from_file(NAME))
    await asked_database(
        served, "UPDATE jangbu.resources SET expires_at = now() - interval '1 hour' WHERE name = $1", NAME
    )
    assert await served.ledger.resources.expire() == 0
    status, answer = await upload(served, DEARER, user="lee")
    assert (status, is_read(answer)) == (400, True)
    await asked_database(served, "UPDATE jangbu.holds SET state = 'released', closed_at = now()")
    await asked_database(served, "UPDATE jangbu.balances SET held = 0")
    assert await served.ledger.resources.expire() == 1


async def test_an_upload_that_was_begun_before_the_batch_does_not_end_during_it(served: Stage) -> None:
    status, url = await begun(served, "lee")
    assert status == 200
    assert (await upload(served))[0] == 200
    batch, _ = await started(served, from_file(NAME))
    before = len(served.gemini.requests())
    status, answer, _ = await sent(served, url, DEARER)
    assert (status, is_read(answer)) == (400, True)
    assert came(served, since=before) == []
    status, _, _ = await sent(served, url, b"", {"x-goog-upload-command": "cancel"})
    assert status == 200
    await ended(served, batch)


@pytest.mark.parametrize(
    "about", [b"{broken", b'{"file": {"name": "files/a", "name": "files/episode-1"}}', b"\xff\xfe{\x00}\x00"]
)
async def test_an_upload_whose_description_can_be_read_in_two_ways_is_refused(served: Stage, about: bytes) -> None:
    status, _, _ = await served.post("/upload/v1beta/files", about, **START)
    assert status == 400
    headers = {"x-goog-upload-protocol": "multipart", "content-type": "multipart/related; boundary=x"}
    body = b"--x\r\ncontent-type: application/json\r\n\r\n" + about + b"\r\n--x\r\n\r\ntext\r\n--x--\r\n"
    assert (await served.post("/upload/v1beta/files", body, **headers))[0] == 400
    assert (await served.post("/upload/v1beta/files", b"text" + body, **headers))[0] == 400
    assert came(served) == []


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("boundary", ["x", '"===============77=="'])
async def test_the_name_in_a_multipart_request_is_read_however_its_lines_end(
    served: Stage, end: str, boundary: str
) -> None:
    assert (await upload(served))[0] == 200
    await started(served, from_file(NAME))
    mark = boundary.strip('"')
    described = json.dumps({"file": {"name": NAME}})
    lines_of_body = [
        *(f"--{mark}", "Content-Type: application/json", "MIME-Version: 1.0", "", described),
        *(f"--{mark}", "Content-Type: text/plain", "", "text", f"--{mark}--", ""),
    ]
    headers = {"x-goog-upload-protocol": "multipart", "content-type": f"multipart/related; boundary={boundary}"}
    status, answer, _ = await served.post("/upload/v1beta/files", end.join(lines_of_body).encode(), **headers)
    assert (status, is_read(answer)) == (400, True)


async def test_a_multipart_request_with_delimiters_of_two_kinds_is_refused(served: Stage) -> None:
    named = json.dumps({"file": {"name": NAME}}).encode()
    body = b"--x\n\n{}\n--x\n\ntext\r\n--x\r\n\r\n" + named + b"\r\n--x\r\n\r\ntext\r\n--x--\r\n"
    headers = {"x-goog-upload-protocol": "multipart", "content-type": "multipart/related; boundary=x"}
    assert (await served.post("/upload/v1beta/files", body, **headers))[0] == 400
    assert came(served) == []


async def test_a_batch_whose_file_was_deleted_meanwhile_is_not_sent(served: Stage) -> None:
    assert (await upload(served))[0] == 200
    async with served.ledger.database.connection() as other, other.transaction():
        # The hold waits for this, with the lines judged already.
        await other.execute("SELECT FROM jangbu.balances FOR UPDATE")
        starting = asyncio.create_task(served.post(BATCH, from_file(NAME)))
        await until(lambda: is_waited_for(served))
        assert (await deleted(served))[0] == 200
        assert (await upload(served, DEARER))[0] == 200
    status, answer, _ = await starting
    assert (status, "became another file" in answer["error"]["message"]) == (400, True)
    assert [line for line in came(served) if "batchGenerateContent" in line] == []
    assert (await served.used(), await holds(served)) == ((0, 0), ["released"])


async def is_waited_for(served: Stage) -> bool:
    """Tell whether a statement waits for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    [row] = await asked_database(served, query)
    return int(row["count"]) > 0


async def test_a_file_that_the_provider_does_not_delete_is_still_its_owners(served: Stage) -> None:
    assert (await upload(served))[0] == 200
    served.gemini.next("503")
    assert (await deleted(served))[0] == 503
    await started(served, from_file(NAME))


async def test_either_a_file_is_read_or_it_is_deleted(served: Stage) -> None:
    resources, account = served.ledger.resources, served.ledger.accounts.id_of("kim")
    for number in range(50):
        name = f"files/{number}"
        await resources.claim(account, name, ResourceKind.FILE)
        used, forgotten = await asyncio.gather(
            resources.use(account, [name], new_id(served.ledger.clock)), resources.forget(account, name)
        )
        assert (name in used) is not forgotten
