"""Batches whose requests stand in a file: its lines are read as it is uploaded, and judged when a batch names it."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google import genai
from google.genai import types

from jangbu.metering.resources import ResourceKind
from jangbu.providers.gemini.batch_request import batch_bounds
from jangbu.testing import FakeGemini
from tests.gateway.book import came, holds, require_sound
from tests.gateway.raw import provider, said
from tests.gateway.stage import FLASH, Stage, asked, inline, stage
from tests.gateway.test_later import BATCH, from_file, started
from tests.gateway.test_resources import cached, uploaded
from tests.gateway.test_uploads import DONE, begun, named, sent

EMBEDDINGS = "/v1beta/models/gemini-embedding-001:asyncBatchEmbedContent"
OUTPUT_MOST = 65_536


@pytest.fixture(autouse=True)
async def clean_book(served: Stage) -> AsyncIterator[None]:
    """Let there be lee beside kim; whatever a test did, the book adds up afterwards."""
    await served.open("lee")
    yield
    await require_sound(served)


def lines(*requests: dict[str, Any]) -> bytes:
    """Write the file of a batch."""
    return b"".join(json.dumps({"key": "k", "request": each}).encode() + b"\n" for each in requests)


def reading(file: str, **given: Any) -> dict[str, Any]:
    """Write a request that reads a file."""
    return {
        "contents": [{"parts": [{"fileData": {"fileUri": file}}]}],
        "generationConfig": {"maxOutputTokens": 1},
        **given,
    }


async def refused(served: Stage, source: str, user: str = "kim", path: str = BATCH) -> tuple[int, str]:
    """Ask for a batch that is refused; give the status and the message. Nothing goes out, and nothing is held."""
    before = len(served.gemini.requests())
    status, answer, _ = await served.post(path, from_file(source), user=user)
    assert came(served, since=before) == []
    assert (await served.used(user), await holds(served)) == ((0, 0), [])
    return status, answer["error"]["message"]


async def test_input_and_output_of_all_lines_are_held_in_full(served: Stage) -> None:
    requests = [asked("one", maxOutputTokens=200), asked("two", maxOutputTokens=300, candidateCount=2)]
    bounds = batch_bounds(inline(*requests), FLASH, {})
    assert bounds is not None
    body = from_file(await uploaded(served, lines(*requests)))
    status, _, headers = await served.post(BATCH, body)
    assert (status, headers.get("x-jangbu-output-limit")) == (200, None)
    assert json.loads(served.gemini.requests()[-1].body) == body
    assert await served.used() == (0, (bounds.input_most or 0) + 200 + 600)


async def test_a_line_without_a_limit_holds_what_the_model_may_write(served: Stage) -> None:
    limited, unlimited = [await uploaded(served, lines(each)) for each in (asked("x", maxOutputTokens=10), asked("x"))]
    await started(served, from_file(limited))
    _, first = await served.used()
    await started(served, from_file(unlimited))
    _, both = await served.used()
    assert OUTPUT_MOST - 100 < both - 2 * first + 10 <= OUTPUT_MOST


async def test_lines_without_a_limit_are_refused_to_who_cannot_pay_for_them(served: Stage) -> None:
    await served.open("poor", tokens=6_000)
    source = await uploaded(served, lines(*[asked("hi")] * 80), user="poor")
    status, _ = await refused(served, source, "poor")
    assert status == 402
    assert (await served.ledger.accounts.balance("poor")).available == 6_000


async def test_a_line_that_names_the_files_of_another_is_refused(served: Stage) -> None:
    theirs, cache = await uploaded(served, user="lee"), (await cached(served, "lee"))["name"]
    for request in (reading(theirs), asked("x") | {"cachedContent": cache}):
        assert (await refused(served, await uploaded(served, lines(asked("x"), request))))[0] == 404


async def test_ownership_is_as_of_the_batch(served: Stage) -> None:
    file = await uploaded(served)
    source = await uploaded(served, lines(reading(file)))
    await served.ledger.accounts.grant("kim", 1_000_000, key="more")
    batch, _ = await started(served, from_file(source))
    while not (await served.get(f"/v1beta/{batch}"))[1].get("done"):
        pass
    assert (await served.get(f"/v1beta/{file}", method="DELETE"))[0] == 200
    assert (await served.post(BATCH, from_file(source)))[0] == 404


@pytest.mark.parametrize(
    "written", ["files\\/{}", "\\u0066iles/{}", "https:\\/\\/generativelanguage.googleapis.com/v1beta/files/{}"]
)
async def test_an_escaped_name_is_the_name(served: Stage, written: str) -> None:
    theirs = (await uploaded(served, user="lee")).removeprefix("files/")
    data = lines(reading("files/NAME")).replace(b"files/NAME", written.format(theirs).encode())
    assert (await refused(served, await uploaded(served, data)))[0] == 404


@pytest.mark.parametrize(
    "request_",
    [
        reading("gs://app/secret.txt"),
        asked("x") | {"tools": [{"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/app"]}}]},
        asked("x") | {"tools": [{"file_search": {"file_search_store_names": ["fileSearchStores/app"]}}]},
    ],
)
async def test_a_line_that_names_what_is_the_apps_is_refused(served: Stage, request_: dict[str, Any]) -> None:
    assert (await refused(served, await uploaded(served, lines(request_))))[0] == 403


async def test_a_line_that_names_another_model_is_refused(served: Stage) -> None:
    source = await uploaded(served, lines(asked("x") | {"model": "models/gemini-2.5-pro"}))
    status, message = await refused(served, source)
    assert (status, "gemini-2.5-pro" in message) == (400, True)
    within = await uploaded(served, lines(asked("x") | {"toolConfig": {"modelName": "models/gemini-2.5-pro"}}))
    assert (await refused(served, within))[0] == 400
    same = await uploaded(served, lines(asked("x", maxOutputTokens=5) | {"model": f"models/{FLASH}"}))
    await started(served, from_file(same))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"some text",
        b"\x1f\x8b\x08\x00" + bytes(100),
        bytes(100_000),
        b'{"key": "1"}\n',
        lines(asked("x")) + b"{broken\n",
        lines(asked("x")).replace(b'"request"', b'"request": {}, "request"'),
        b"\xef\xbb\xbf" + lines(asked("x")),
        lines(asked("x", maxOutputTokens=1) | {"generation_config": {"maxOutputTokens": 60_000}}),
        json.dumps({"request": asked("x")}, indent=1).encode(),
    ],
)
async def test_a_file_that_is_none_of_requests_is_no_source(served: Stage, data: bytes) -> None:
    status, message = await refused(served, await uploaded(served, data))
    assert (status, "not known" in message) == (400, True)


async def test_a_file_from_before_lines_were_read_is_no_source(served: Stage) -> None:
    source = await uploaded(served, lines(asked("x")))
    await served.ledger.resources.claim(served.ledger.accounts.id_of("kim"), source, ResourceKind.FILE)
    assert (await refused(served, source))[0] == 400


async def resumed(served: Stage, *requests: tuple[bytes, str, int]) -> str:
    """Upload a file by requests of bytes, command and offset; give its name."""
    url = await begun(served)
    for data, command, offset in requests:
        headers = {"x-goog-upload-command": command, "x-goog-upload-offset": str(offset)}
        status, answer, _ = await sent(served, url, data, headers)
        assert status == 200
    return named(answer)


async def test_a_file_in_one_request_is_a_source_and_one_in_several_is_none(served: Stage) -> None:
    data = lines(asked("x", maxOutputTokens=10))
    several = await resumed(served, (data[:9], "upload", 0), (data[9:], "upload, finalize", 9))
    assert (await refused(served, several))[0] == 400
    empty_first = await resumed(served, (b"", "upload", 0), (data, "upload, finalize", 0))
    assert (await refused(served, empty_first))[0] == 400
    await started(served, from_file(await resumed(served, (data, "upload, finalize", 0))))


async def test_bytes_that_broke_off_before_make_a_file_no_source(served: Stage) -> None:
    url = await begun(served)
    assert (await sent(served, url, b"x", {**DONE, "x-goog-upload-offset": "7"}))[0] == 400
    status, answer, _ = await sent(served, url, lines(asked("x")))
    assert status == 200
    assert (await refused(served, named(answer)))[0] == 400


async def test_a_multipart_request_that_can_be_read_in_two_ways_is_no_source(served: Stage) -> None:
    data = lines(asked("x"))
    assert (await refused(served, await uploaded(served, data + b"--x" + data)))[0] == 400


async def test_a_batch_takes_its_requests_from_one_source(served: Stage) -> None:
    source = await uploaded(served, lines(asked("x", maxOutputTokens=5)))
    both = inline(asked("x"))
    both["batch"]["inputConfig"]["file_name"] = source
    bodies: list[dict[str, Any]] = [both, from_file(source) | {"input_config": {"fileName": source}}, {"batch": {}}]
    for body in bodies:
        assert (await served.post(BATCH, body))[0] == 400
    assert await served.used() == (0, 0)


async def test_embeddings_hold_for_their_input_alone(database_url: str, served: Stage, gemini: FakeGemini) -> None:
    source = await uploaded(served, lines({"content": {"parts": [{"text": "x" * 1_000}]}}))
    started_at_google = said(b'{"name": "batches/e1"}')
    async with (
        provider(started_at_google) as google,
        stage(database_url, gemini, upstream_url=google.url) as other,
    ):
        assert (await other.post(EMBEDDINGS, from_file(source)))[0] == 200
    _, held = await served.used()
    assert 1_000 < held < 1_300


async def test_who_is_blocked_starts_nothing(served: Stage) -> None:
    source = await uploaded(served, lines(asked("x", maxOutputTokens=5)))
    await served.ledger.accounts.block("kim")
    assert (await refused(served, source))[0] == 403


async def test_googles_client_runs_a_batch_from_a_file(served: Stage) -> None:
    options = types.HttpOptions(base_url=served.url, headers={"x-jangbu-user": "kim"})
    with genai.Client(api_key=served.key, http_options=options) as client:
        data = io.BytesIO(lines(asked("one", maxOutputTokens=50), asked("two", maxOutputTokens=50)))
        file = await asyncio.to_thread(client.files.upload, file=data, config={"mime_type": "application/jsonl"})
        batch = await asyncio.to_thread(client.batches.create, model=FLASH, src=file.name or "")
        for _ in range(2):
            batch = await asyncio.to_thread(client.batches.get, name=batch.name or "")
        assert batch.dest is not None
        assert batch.dest.file_name is not None
        results = await asyncio.to_thread(client.files.download, file=batch.dest.file_name)
    used, held = await served.used()
    assert (len(results.splitlines()), used > 0, held) == (2, True, 0)
