"""Uploads through the gateway: as Google's own clients make them, and as nobody should."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from google import genai
from google.genai import types

from jangbu.testing import FakeGemini
from tests.gateway.book import asked as asked_database
from tests.gateway.book import came, require_sound
from tests.gateway.raw import provider, said, wire
from tests.gateway.stage import FLASH, UPSTREAM_KEY, Stage, stage

START = {
    "x-goog-upload-protocol": "resumable",
    "x-goog-upload-command": "start",
    "x-goog-upload-header-content-length": "10",
    "x-goog-upload-header-content-type": "text/plain",
}
DONE = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}


@pytest.fixture(autouse=True)
async def clean_book(served: Stage) -> AsyncIterator[None]:
    """Let there be lee beside kim; whatever they did, the book adds up afterwards."""
    await served.open("lee")
    yield
    await require_sound(served)


async def begun(served: Stage, prefix: str = "") -> str:
    """Begin an upload; give the address where it goes on."""
    status, _, headers = await served.post(f"{prefix}/upload/v1beta/files", {"file": {"displayName": "note"}}, **START)
    assert status == 200
    assert headers["x-goog-upload-status"] == "active"
    return headers["x-goog-upload-url"]


async def sent(
    served: Stage, url: str, data: bytes | AsyncIterator[bytes], headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, object], Mapping[str, str]]:
    """Go on with an upload, without any key."""
    async with served.http.post(url, data=data, headers=headers or DONE) as answer:
        content = await answer.read()
        return answer.status, json.loads(content or b"{}"), answer.headers


def named(answer: Mapping[str, object]) -> str:
    file = answer["file"]
    assert isinstance(file, dict)
    return str(file["name"])


def google_client(served: Stage, user: str, prefix: str = "") -> genai.Client:
    options = types.HttpOptions(base_url=served.url + prefix, headers={"x-jangbu-user": user})
    return genai.Client(api_key=served.key, http_options=options)


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # The client does that.
@pytest.mark.parametrize("prefix", ["", "/gw"])
@pytest.mark.parametrize("by_the_api", [False, True])
async def test_googles_client_uploads_uses_and_deletes_a_file(
    database_url: str, gemini: FakeGemini, tmp_path: Path, prefix: str, by_the_api: bool
) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(bytes(9_000_000))
    async with stage(database_url, gemini, path_prefix=prefix) as served:
        await served.open("kim")
        with google_client(served, "kim", prefix) as kim, google_client(served, "lee", prefix) as lee:
            if by_the_api:
                file = await kim.aio.files.upload(file=path)
                await kim.aio.aclose()
            else:
                file = await asyncio.to_thread(kim.files.upload, file=path)
            assert (file.size_bytes, file.mime_type) == (9_000_000, "image/png")
            answer = await asyncio.to_thread(kim.models.generate_content, model=FLASH, contents=[file, "what is this?"])
            assert answer.usage_metadata is not None
            assert await served.used() == (answer.usage_metadata.total_token_count, 0)
            assert [each.name for each in await asyncio.to_thread(lambda: list(kim.files.list()))] == [file.name]
            assert await asyncio.to_thread(lambda: list(lee.files.list())) == []
            await asyncio.to_thread(kim.files.delete, name=file.name or "")
        assert gemini.requests()[-1].method == "DELETE"


async def test_the_bytes_come_with_no_key_and_the_gateways_own_stays_here(served: Stage) -> None:
    url = await begun(served)
    status, answer, headers = await sent(served, url, b"0123456789")
    assert (status, headers["x-goog-upload-status"]) == (200, "final")
    assert "googleapis" not in url
    start, finish = served.gemini.requests()
    assert start.headers["x-goog-api-key"] == finish.headers["x-goog-api-key"] == UPSTREAM_KEY
    token = parse_qs(urlsplit(url).query)["upload_id"][0]
    assert token not in finish.target
    assert finish.headers["content-length"] == "10"
    assert (await served.get(f"/v1beta/{named(answer)}"))[1]["sizeBytes"] == "10"
    assert (await served.get(f"/v1beta/{named(answer)}", user="lee"))[0] == 404


@pytest.mark.parametrize(
    ("settings", "prefix", "expected"),
    [
        ({}, "", "{url}/upload/v1beta/files"),
        ({"path_prefix": "/a/b"}, "/a/b", "{url}/a/b/upload/v1beta/files"),
        ({"public_url": "https://tokens.example/gw/"}, "", "https://tokens.example/gw/upload/v1beta/files"),
    ],
)
async def test_the_address_is_the_gateways_own_as_the_client_knows_it(
    database_url: str, gemini: FakeGemini, settings: dict[str, str], prefix: str, expected: str
) -> None:
    async with stage(database_url, gemini, **settings) as served:
        await served.open("kim")
        address, _, query = (await begun(served, prefix)).partition("?")
        assert address == expected.format(url=served.url)
        assert list(parse_qs(query)) == ["upload_id"]


async def test_a_client_that_names_no_host_goes_on_at_the_address_that_it_came_to(served: Stage) -> None:
    head = "POST /upload/v1beta/files HTTP/1.0\r\ncontent-length: 2\r\nx-jangbu-user: kim\r\n"
    lines = "".join(f"{name}: {value}\r\n" for name, value in {**START, "x-goog-api-key": served.key}.items())
    async with wire(served.url) as client:
        await client.send(f"{head}{lines}\r\n{{}}".encode())
        answer = await client.answer()
    assert answer.headers["x-goog-upload-url"].startswith(f"{served.url}/upload/v1beta/files?")


async def test_a_token_that_stands_for_nothing_opens_nothing(served: Stage) -> None:
    url = await begun(served)
    token = parse_qs(urlsplit(url).query)["upload_id"][0]
    before = len(served.gemini.requests())
    for wrong in (token[:-4] + "AAAA", token[:-1], token.lower(), "x", token + "=", "a" * 64):
        status, answer, _ = await sent(served, url.replace(token, wrong), b"0123456789")
        assert status == 404, answer
    await asked_database(served, "UPDATE jangbu.resources SET expires_at = now() - interval '1 second'")
    assert (await sent(served, url, b"0123456789"))[0] == 404
    assert came(served, since=before) == []


@pytest.mark.parametrize("users_own", [False, True])
async def test_an_upload_ends_with_the_key_with_which_it_was_begun(served: Stage, users_own: bool) -> None:
    keys = served.ledger.keys
    made = await (keys.create_for_user("kim", name="mine") if users_own else keys.create_for_app("brief"))
    status, _, headers = await served.post("/upload/v1beta/files", {}, key=made[1], **START)
    assert status == 200
    url = headers["x-goog-upload-url"]
    first = {"x-goog-upload-command": "upload", "x-goog-upload-offset": "0"}
    assert (await sent(served, url, b"01234", first))[0] == 200
    await keys.revoke(made[0].id)
    before = len(served.gemini.requests())
    status, answer, _ = await sent(served, url, b"56789", {**DONE, "x-goog-upload-offset": "5"})
    assert status == 401, answer
    assert came(served, since=before) == []


async def test_an_upload_ends_when_its_key_expires(served: Stage) -> None:
    url = await begun(served)
    await asked_database(served, "UPDATE jangbu.api_keys SET expires_at = now() - interval '1 second'")
    assert (await sent(served, url, b"0123456789"))[0] == 401


async def test_who_is_blocked_uploads_nothing_more(served: Stage) -> None:
    url = await begun(served)
    await served.ledger.accounts.block("kim")
    before = len(served.gemini.requests())
    assert (await sent(served, url, b"0123456789"))[0] == 403
    assert came(served, since=before) == []
    await served.ledger.accounts.block("kim", False)
    assert (await sent(served, url, b"0123456789"))[0] == 200


async def test_an_upload_in_pieces_can_be_asked_about(served: Stage) -> None:
    url = await begun(served)
    first = {"x-goog-upload-command": "upload", "x-goog-upload-offset": "0"}
    assert (await sent(served, url, b"01234", first))[2]["x-goog-upload-status"] == "active"
    status, _, headers = await sent(served, url, b"", {"x-goog-upload-command": "query"})
    assert (status, headers["x-goog-upload-status"], headers["x-goog-upload-size-received"]) == (200, "active", "5")
    assert (await served.get("/v1beta/files"))[1] == {"files": []}
    last = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "5"}
    status, answer, _ = await sent(served, url, b"56789", last)
    assert status == 200
    # Whoever missed the last answer asks again.
    status, again, headers = await sent(served, url, b"", {"x-goog-upload-command": "query"})
    assert (status, headers["x-goog-upload-status"], named(again)) == (200, "final", named(answer))
    assert len((await served.get("/v1beta/files"))[1]["files"]) == 1


async def test_an_upload_that_is_given_up_is_gone(served: Stage) -> None:
    url = await begun(served)
    status, _, headers = await sent(served, url, b"", {"x-goog-upload-command": "cancel"})
    assert (status, headers["x-goog-upload-status"]) == (200, "cancelled")
    assert (await sent(served, url, b"0123456789"))[0] == 404


async def test_a_piece_that_the_provider_refuses_can_be_sent_again(served: Stage) -> None:
    url = await begun(served)
    wrong = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "7"}
    assert (await sent(served, url, b"789", wrong))[0] == 400
    assert (await sent(served, url, b"0123456789"))[0] == 200


async def test_a_small_file_comes_in_one_multipart_request(served: Stage) -> None:
    about = b'{"file": {"displayName": "note", "mimeType": "text/plain"}}'
    body = b"--x\r\ncontent-type: application/json\r\n\r\n" + about
    body += b"\r\n--x\r\ncontent-type: text/plain\r\n\r\nhello\r\n--x--\r\n"
    headers = {"x-goog-upload-protocol": "multipart", "content-type": "multipart/related; boundary=x"}
    status, answer, _ = await served.post("/upload/v1beta/files", body, **headers)
    assert status == 200
    assert (await served.get(f"/v1beta/{named(answer)}:download?alt=media"))[1] == b"hello"
    use = {"contents": [{"parts": [{"fileData": {"fileUri": answer["file"]["uri"]}}]}]}
    assert (await served.post(f"/v1beta/models/{FLASH}:generateContent", use))[0] == 200
    assert (await served.post(f"/v1beta/models/{FLASH}:generateContent", use, user="lee"))[0] == 404


async def test_an_error_at_the_start_passes_and_leaves_nothing(served: Stage, database_url: str) -> None:
    async with (
        provider(said(b'{"error": {"code": 400}}', status="400 Bad Request")) as google,
        stage(database_url, served.gemini, upstream_url=google.url) as strict,
    ):
        assert (await strict.post("/upload/v1beta/files", {}, **START))[0] == 400
    assert await asked_database(served, "SELECT FROM jangbu.resources") == []


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/upload?upload_id=1",
        "http://127.0.0.1:1/upload?upload_id=1",
        "https://{host}/upload?upload_id=1",
        "http://{host}@evil.example/upload",
        "http://user@{host}/upload",
        "//evil.example/upload",
        "nothing",
    ],
)
async def test_an_address_elsewhere_is_refused(served: Stage, database_url: str, address: str) -> None:
    host = urlsplit(served.gemini.url).netloc
    line = f"x-goog-upload-url: {address.format(host=host)}"
    async with (
        provider(said(b"{}", line)) as google,
        stage(database_url, served.gemini, upstream_url=google.url) as misled,
    ):
        status, answer, headers = await misled.post("/upload/v1beta/files", {}, **START)
        assert (status, answer["error"]["details"][0]["reason"]) == (502, "UPSTREAM_UNREACHABLE")
        assert "x-goog-upload-url" not in headers
    assert await asked_database(served, "SELECT FROM jangbu.resources") == []


async def test_bytes_pass_as_they_come(served: Stage, database_url: str) -> None:
    """The first piece is at the provider before the last one is sent."""
    arrived = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while b"first" not in (piece := await reader.read(65536)):
            assert piece
        arrived.set()
        while b"last" not in await reader.read(65536):
            pass
        writer.write(said(b'{"file": {"name": "files/f1"}}', "x-goog-upload-status: final"))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with provider(take) as google, stage(database_url, served.gemini, upstream_url=google.url) as slow:
        url = await claimed(slow, f"{google.url}/upload?upload_id=1")

        async def pieces() -> AsyncIterator[bytes]:
            yield b"first"
            await asyncio.wait_for(arrived.wait(), 10)
            yield b"last"

        assert (await sent(slow, url, pieces()))[0] == 200
        assert (await slow.ledger.resources.find(slow.ledger.accounts.id_of("kim"), "files/f1")) is not None


async def claimed(served: Stage, target: str) -> str:
    """Begin an upload without asking the provider; give the address where it goes on."""
    [key] = await served.ledger.keys.list(limit=1)
    token = await served.ledger.resources.open_upload(served.ledger.accounts.id_of("kim"), target, 3600, key=key.id)
    return f"{served.url}/upload/v1beta/files?upload_id={token}"


async def test_an_upload_that_is_too_large_is_ended(served: Stage, database_url: str) -> None:
    async with stage(database_url, served.gemini, upload_bytes_max=100_000) as narrow:
        url = await begun(narrow)
        before = len(served.gemini.requests())
        status, answer, _ = await sent(narrow, url, bytes(200_000))
        assert (status, answer["error"]["status"]) == (413, "INVALID_ARGUMENT")  # type: ignore[index]

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(50):
                yield bytes(10_000)

        status, answer, _ = await sent(narrow, url, endless())
        assert status == 413
        assert came(served, since=before) == []
        assert (await narrow.generate())[0] == 200


async def test_a_client_that_leaves_in_the_middle_can_go_on(served: Stage) -> None:
    url = await begun(served)
    path = url.removeprefix(served.url)
    head = f"POST {path} HTTP/1.1\r\nhost: g\r\nx-goog-upload-command: upload, finalize\r\n"
    async with wire(served.url) as client:
        await client.send(f"{head}x-goog-upload-offset: 0\r\ncontent-length: 10\r\n\r\n01234".encode())
        await asyncio.sleep(0.2)
    assert (await sent(served, url, b"0123456789"))[0] == 200


async def test_a_client_that_stops_in_the_middle_is_told(served: Stage, database_url: str) -> None:
    async with stage(database_url, served.gemini, client_seconds_max=1) as hasty:
        url = await begun(hasty)
        path = url.removeprefix(hasty.url)
        head = f"POST {path} HTTP/1.1\r\nhost: g\r\nx-goog-upload-command: upload, finalize\r\n"
        async with wire(hasty.url) as client:
            await client.send(f"{head}x-goog-upload-offset: 0\r\ncontent-length: 10\r\n\r\n01234".encode())
            assert (await client.answer()).status == 400


async def test_nobody_begins_an_upload_without_a_key(served: Stage) -> None:
    status, _, _ = await served.post("/upload/v1beta/files", {}, key="", **START)
    assert status == 401
    _, narrow = await served.ledger.keys.create_for_app("narrow", scopes=("generate",))
    assert (await served.post("/upload/v1beta/files", {}, key=narrow, **START))[0] == 403
    assert came(served) == []


async def test_whoever_asks_how_an_upload_ended_takes_no_name_that_was_given_up(served: Stage) -> None:
    url = await begun_as(served, "kim")
    assert named((await sent(served, url, b"kims words"))[1]) == "files/report"
    for _ in range(2):
        # The answer may not have reached the client; asked again, the file is still kim's.
        assert (await sent(served, url, b"", {"x-goog-upload-command": "query"}))[2]["x-goog-upload-status"] == "final"
    assert (await served.get("/v1beta/files/report"))[0] == 200
    assert (await served.get("/v1beta/files/report", method="DELETE"))[0] == 200
    await sent(served, url, b"", {"x-goog-upload-command": "query"})
    # The name is anybody's now, and what lee keeps under it is lee's.
    assert (await sent(served, await begun_as(served, "lee"), b"lees words"))[0] == 200
    assert (await served.get("/v1beta/files/report", user="lee"))[0] == 200
    assert (await served.get("/v1beta/files/report"))[0] == 404


async def test_a_gateway_that_dies_as_an_upload_ends_leaves_no_name_to_be_taken_later(
    served: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose the file is and that this was written down are one statement: whatever comes after it may be missing."""

    resources = served.ledger.resources
    resize = resources.resize

    async def dies(account: UUID, name: str, size: int | None) -> None:
        if name.startswith("files/"):
            raise RuntimeError
        await resize(account, name, size)

    url = await begun_as(served, "kim")
    with monkeypatch.context() as patch:
        patch.setattr(resources, "resize", dies)
        await sent(served, url, b"kims words")
    assert (await served.get("/v1beta/files/report", method="DELETE"))[0] == 200
    await sent(served, url, b"", {"x-goog-upload-command": "query"})
    assert (await sent(served, await begun_as(served, "lee"), b"lees words"))[0] == 200
    assert (await served.get("/v1beta/files/report", user="lee"))[0] == 200
    assert (await served.get("/v1beta/files/report"))[0] == 404


async def begun_as(served: Stage, user: str) -> str:
    """Begin an upload of a file whose name its user chooses."""
    status, _, headers = await served.post(
        "/upload/v1beta/files", {"file": {"name": "files/report"}}, user=user, **START
    )
    assert status == 200
    return headers["x-goog-upload-url"]
