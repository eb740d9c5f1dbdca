"""How much of Google's room a user may take: the app's project has 20 GB of it, for all users together."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from jangbu.testing import FakeGemini
from tests.gateway.book import asked as asked_database
from tests.gateway.stage import Stage, stage

UPLOAD = "/upload/v1beta/files"
FILES_MOST = 3
BYTES_MOST = 10_000
DONE = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}
PIECE = {"x-goog-upload-command": "upload"}
MULTIPART = {"x-goog-upload-protocol": "multipart", "content-type": "multipart/related; boundary=x"}


@pytest.fixture
async def narrow(database_url: str, gemini: FakeGemini) -> AsyncIterator[Stage]:
    """Give a gateway where a user keeps three files of 10,000 bytes in all."""
    async with stage(database_url, gemini, kept_files_max=FILES_MOST, kept_bytes_max=BYTES_MOST) as served:
        await served.open("kim")
        await served.open("lee")
        yield served


async def begun(served: Stage, size: int | None = 10, user: str = "kim") -> tuple[int, str]:
    """Begin an upload, perhaps of a size; give the status, and where it goes on or why it does not."""
    start = {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
    if size is not None:
        start["x-goog-upload-header-content-length"] = str(size)
    status, answer, headers = await served.post(UPLOAD, {"file": {"displayName": "x"}}, user=user, **start)
    return status, headers["x-goog-upload-url"] if status == 200 else answer["error"]["details"][0]["reason"]


async def sent(
    served: Stage, url: str, data: bytes | AsyncIterator[bytes], headers: dict[str, str] | None = None
) -> int:
    """Go on with an upload; give the status."""
    async with served.http.post(url, data=data, headers=headers or DONE) as answer:
        await answer.read()
        return answer.status


async def uploaded(served: Stage, size: int, user: str = "kim") -> None:
    """Have a file kept."""
    _, url = await begun(served, size, user)
    assert await sent(served, url, bytes(size)) == 200


async def in_one_request(served: Stage, size: int) -> int:
    """Upload a file in one multipart request; give the status."""
    body = b"--x\r\ncontent-type: application/json\r\n\r\n{}\r\n--x\r\ncontent-type: text/plain\r\n\r\n"
    return (await served.post(UPLOAD, body + b"a" * size + b"\r\n--x--\r\n", **MULTIPART))[0]


async def kept(served: Stage, user: str = "kim") -> tuple[int, int]:
    """Tell how many files a user keeps, and how many bytes."""
    found = await served.ledger.resources.kept(served.ledger.accounts.id_of(user))
    return found.files, found.bytes


async def test_who_has_nothing_left_uploads_nothing(narrow: Stage) -> None:
    await narrow.open("park", 0)
    assert await begun(narrow, user="park") == (402, "INSUFFICIENT_BALANCE")
    assert narrow.gemini.requests() == []


async def test_a_user_keeps_as_many_files_as_one_may_and_no_more(narrow: Stage) -> None:
    for _ in range(FILES_MOST):
        await uploaded(narrow, 10)
    before = len(narrow.gemini.requests())
    assert await begun(narrow) == (400, "TOO_MUCH_KEPT")
    assert await in_one_request(narrow, 10) == 400
    assert len(narrow.gemini.requests()) == before
    assert await kept(narrow) == (FILES_MOST, 10 * FILES_MOST)
    await uploaded(narrow, 10, user="lee")


async def test_nor_more_bytes_however_they_are_announced(narrow: Stage) -> None:
    await uploaded(narrow, 6_000)
    assert await begun(narrow, 4_001) == (400, "TOO_MUCH_KEPT")
    assert await in_one_request(narrow, 4_001) == 400
    for announced in (4_000, None):
        _, url = await begun(narrow, announced)
        before = len(narrow.gemini.requests())
        assert await sent(narrow, url, bytes(4_001)) == 400
        assert len(narrow.gemini.requests()) == before
        assert await kept(narrow) == (1, 6_000)
    await uploaded(narrow, 4_000)
    assert await kept(narrow) == (2, BYTES_MOST)


async def test_what_nobody_announced_ends_where_the_room_ends(narrow: Stage) -> None:
    async def pieces(number: int) -> AsyncIterator[bytes]:
        for _ in range(number):
            yield bytes(1_000)

    await uploaded(narrow, 6_000)
    _, url = await begun(narrow, None)
    assert await sent(narrow, url, pieces(5)) == 413
    assert await sent(narrow, url, pieces(3)) == 200
    assert await kept(narrow) == (2, 9_000)


async def test_pieces_of_an_upload_add_up(narrow: Stage) -> None:
    _, url = await begun(narrow, None)
    assert await sent(narrow, url, bytes(6_000), {**PIECE, "x-goog-upload-offset": "0"}) == 200
    assert await kept(narrow) == (1, 6_000)
    assert await sent(narrow, url, bytes(5_000), {**PIECE, "x-goog-upload-offset": "6000"}) == 400
    assert await sent(narrow, url, bytes(4_000), {**DONE, "x-goog-upload-offset": "6000"}) == 200
    assert await kept(narrow) == (1, BYTES_MOST)


async def test_uploads_at_one_moment_take_no_more_room_than_one_after_another(narrow: Stage) -> None:
    urls = [(await begun(narrow, 4_000))[1] for _ in range(FILES_MOST)]
    statuses = await asyncio.gather(*(sent(narrow, url, bytes(4_000)) for url in urls))
    assert set(statuses) <= {200, 400}
    assert statuses.count(200) <= 2
    assert await kept(narrow) == (statuses.count(200), 4_000 * statuses.count(200))


async def test_what_is_deleted_given_up_or_past_its_time_makes_room(narrow: Stage) -> None:
    await uploaded(narrow, BYTES_MOST)
    [file] = (await narrow.get("/v1beta/files"))[1]["files"]
    assert (await narrow.get(f"/v1beta/{file['name']}", method="DELETE"))[0] == 200
    assert await kept(narrow) == (0, 0)
    _, url = await begun(narrow, None)
    await sent(narrow, url, bytes(BYTES_MOST), {**PIECE, "x-goog-upload-offset": "0"})
    assert await begun(narrow) == (400, "TOO_MUCH_KEPT")
    assert await sent(narrow, url, b"", {"x-goog-upload-command": "cancel"}) == 200
    await uploaded(narrow, BYTES_MOST)
    await asked_database(narrow, "UPDATE jangbu.resources SET expires_at = now() - interval '1 second'")
    await uploaded(narrow, BYTES_MOST)


async def test_a_piece_that_google_refuses_takes_no_room(narrow: Stage) -> None:
    _, url = await begun(narrow)
    assert await sent(narrow, url, bytes(5_000), {**DONE, "x-goog-upload-offset": "7"}) == 400
    assert await kept(narrow) == (0, 0)
