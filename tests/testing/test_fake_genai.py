"""The real google-genai against the fake: the log equals what the client saw."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from jangbu.testing import Answer, FakeGemini

MODEL = "gemini-2.5-flash"


@pytest.fixture
def client(fake_gemini: FakeGemini) -> Iterator[genai.Client]:
    with genai.Client(api_key="key", http_options=types.HttpOptions(base_url=fake_gemini.url)) as client:
        yield client


def seen(answer: types.GenerateContentResponse) -> tuple[Any, ...]:
    usage = answer.usage_metadata
    assert usage is not None
    return (
        answer.response_id,
        answer.model_version,
        usage.prompt_token_count,
        usage.candidates_token_count,
        usage.thoughts_token_count,
        usage.total_token_count,
    )


def logged(answer: Answer) -> tuple[Any, ...]:
    usage = answer.reported or {}
    return (
        answer.response_id,
        answer.model,
        usage.get("promptTokenCount"),
        usage.get("candidatesTokenCount"),
        usage.get("thoughtsTokenCount"),
        usage.get("totalTokenCount"),
    )


def test_generate(client: genai.Client, fake_gemini: FakeGemini) -> None:
    answer = client.models.generate_content(model=MODEL, contents="hello")
    assert answer.text
    assert [logged(line) for line in fake_gemini.answers()] == [seen(answer)]


async def test_generate_and_stream_async(client: genai.Client, fake_gemini: FakeGemini) -> None:
    answer = await client.aio.models.generate_content(model="gemini-2.0-flash", contents="hello")
    stream = await client.aio.models.generate_content_stream(model=MODEL, contents="hello")
    last = [chunk async for chunk in stream][-1]
    await client.aio.aclose()
    assert [logged(line) for line in fake_gemini.answers()] == [seen(answer), seen(last)]


def test_stream(client: genai.Client, fake_gemini: FakeGemini) -> None:
    chunks = list(client.models.generate_content_stream(model=MODEL, contents="hello"))
    whole = client.models.generate_content(model=MODEL, contents="hello")
    assert "".join(chunk.text or "" for chunk in chunks) == whole.text
    assert [logged(line) for line in fake_gemini.answers()] == [seen(chunks[-1]), seen(whole)]


def test_a_chat_reads_its_own_history_again(client: genai.Client, fake_gemini: FakeGemini) -> None:
    chat = client.chats.create(model="gemini-2.0-flash")
    first, second = chat.send_message("hello"), chat.send_message("and now?")
    assert first.usage_metadata is not None
    assert second.usage_metadata is not None
    assert first.usage_metadata.total_token_count is not None
    assert second.usage_metadata.prompt_token_count == first.usage_metadata.total_token_count + 2
    assert [logged(line) for line in fake_gemini.answers()] == [seen(first), seen(second)]


def test_automatic_function_calling_is_several_answers(client: genai.Client, fake_gemini: FakeGemini) -> None:
    def weather(city: str) -> str:
        """Tell the weather of a city."""
        return f"fine in {city}"

    chat = client.chats.create(model=MODEL, config=types.GenerateContentConfig(tools=[weather]))
    answer = chat.send_message("how is the weather?")
    assert answer.text
    called, told = fake_gemini.answers()
    assert logged(told) == seen(answer)
    assert called.response_id != told.response_id


def test_a_continuation_is_another_answer(client: genai.Client, fake_gemini: FakeGemini) -> None:
    fake_gemini.next("continuation")
    answer = client.models.generate_content(model=MODEL, contents="hello")
    reported = [line.reported for line in fake_gemini.answers()]
    assert answer.usage_metadata is not None
    assert len(reported) == 2
    assert answer.usage_metadata.total_token_count == sum((usage or {})["totalTokenCount"] for usage in reported)


def test_count_tokens_gives_what_generate_reports_as_prompt(client: genai.Client) -> None:
    counted = client.models.count_tokens(model=MODEL, contents=["one", "two and three"])
    answer = client.models.generate_content(model=MODEL, contents=["one", "two and three"])
    assert answer.usage_metadata is not None
    assert counted.total_tokens == answer.usage_metadata.prompt_token_count


def test_count_tokens_gives_the_prompt_that_a_behaviour_has_reported(
    client: genai.Client, fake_gemini: FakeGemini
) -> None:
    fake_gemini.when("prompt=77")
    assert client.models.count_tokens(model=MODEL, contents="one").total_tokens == 77


def test_embeddings(client: genai.Client) -> None:
    config = types.EmbedContentConfig(output_dimensionality=8)
    answer = client.models.embed_content(model="gemini-embedding-001", contents=["a", "b"], config=config)
    assert [len(embedding.values or ()) for embedding in answer.embeddings or ()] == [8, 8]


def test_a_file_is_uploaded_and_read(client: genai.Client, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(bytes(9_000_000))
    file = client.files.upload(file=picture)
    assert (file.size_bytes, file.mime_type, file.state) == (9_000_000, "image/png", types.FileState.ACTIVE)
    answer = client.models.generate_content(model=MODEL, contents=[file, "what is this?"])
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.prompt_token_count == 258 + 4
    assert client.files.get(name=file.name or "").uri == file.uri
    client.files.delete(name=file.name or "")
    assert list(client.files.list()) == []


def test_cached_content_is_a_part_of_the_prompt(client: genai.Client, fake_gemini: FakeGemini) -> None:
    config = types.CreateCachedContentConfig(contents=["x" * 4000], ttl="60s")
    cache = client.caches.create(model=MODEL, config=config)
    assert cache.usage_metadata is not None
    assert cache.usage_metadata.total_token_count == 1000
    answer = client.models.generate_content(
        model=MODEL, contents="well?", config=types.GenerateContentConfig(cached_content=cache.name)
    )
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.cached_content_token_count == 1000
    assert answer.usage_metadata.prompt_token_count == 1002
    client.caches.delete(name=cache.name or "")
    with pytest.raises(errors.ClientError, match="403"):
        client.caches.get(name=cache.name or "")
    assert fake_gemini.answers()[-1].status == 403


def test_a_batch_answers_twice_in_one_operation(client: genai.Client, fake_gemini: FakeGemini) -> None:
    requests = [types.InlinedRequest(contents=text) for text in ("one", "two")]
    batch = client.batches.create(model=MODEL, src=requests)
    name = batch.name or ""
    assert client.batches.get(name=name).state == types.JobState.JOB_STATE_RUNNING
    done = client.batches.get(name=name)
    assert done.state == types.JobState.JOB_STATE_SUCCEEDED
    assert done.dest is not None
    ids = [one.response and one.response.response_id for one in done.dest.inlined_responses or ()]
    created, running, finished = fake_gemini.answers()
    assert [member["response_id"] for member in finished.members] == ids
    assert created.members == running.members == ()


def test_interactions(client: genai.Client, fake_gemini: FakeGemini) -> None:
    interactions: Any = client.interactions
    created = interactions.create(model=MODEL, input="hello")
    shown = interactions.get(created.id)
    last = list(interactions.create(model=MODEL, input="hello", stream=True))[-1]
    assert created.usage.total_tokens == shown.usage.total_tokens == last.interaction.usage.total_tokens
    assert [line.response_id for line in fake_gemini.answers()] == [created.id, created.id, last.interaction.id]
    assert all((line.reported or {})["total_tokens"] == created.usage.total_tokens for line in fake_gemini.answers())


def test_the_tokens_of_an_image_in_an_interaction_are_told_apart(client: genai.Client) -> None:
    interactions: Any = client.interactions
    usage = interactions.create(model="gemini-2.5-flash-image", input="a cat").usage
    told = {each.modality: each.tokens for each in usage.output_tokens_by_modality}
    assert told["image"] == 1290
    assert sum(told.values()) == usage.total_output_tokens
    assert interactions.create(model=MODEL, input="hello").usage.output_tokens_by_modality is None


def test_an_interaction_in_the_background_has_its_usage_later(client: genai.Client, fake_gemini: FakeGemini) -> None:
    interactions: Any = client.interactions
    started = interactions.create(model=MODEL, input="hello", background=True)
    assert started.status == "in_progress"
    assert interactions.get(started.id).status == "completed"
    before, after = fake_gemini.answers()
    assert before.reported is before.counted is None
    assert after.reported is not None
    assert after.response_id == before.response_id


def test_an_image(client: genai.Client, fake_gemini: FakeGemini) -> None:
    fake_gemini.next("image_bytes=200000")
    answer = client.models.generate_content(model="gemini-2.5-flash-image", contents="a cat")
    media = [part.inline_data for part in answer.parts or () if part.inline_data]
    assert [len(blob.data or b"") for blob in media] == [200_000]
    assert [logged(line) for line in fake_gemini.answers()] == [seen(answer)]


def test_an_error_is_raised_as_the_client_raises_googles(client: genai.Client, fake_gemini: FakeGemini) -> None:
    fake_gemini.next("429")
    with pytest.raises(errors.ClientError, match="RESOURCE_EXHAUSTED"):
        client.models.generate_content(model=MODEL, contents="hello")
    fake_gemini.when("503", model="gemini-3")
    with pytest.raises(errors.ServerError, match="UNAVAILABLE"):
        list(client.models.generate_content_stream(model="gemini-3-flash-preview", contents="hello"))
    assert client.models.generate_content(model=MODEL, contents="hello").text
    assert [line.status for line in fake_gemini.answers()] == [429, 503, 200]


def test_json_that_was_asked_for_parses(client: genai.Client) -> None:
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=list[str])
    parsed: object = client.models.generate_content(model=MODEL, contents="list", config=config).parsed
    assert parsed == ["sample"]


def test_an_upload_goes_to_the_address_that_the_fake_gave(client: genai.Client, fake_gemini: FakeGemini) -> None:
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(b"hello")
        file.flush()
        client.files.upload(file=file.name)
    start, finish = fake_gemini.requests()
    assert start.path == "/upload/v1/files"
    assert "x-goog-api-key" not in finish.headers or finish.query["upload_id"]
