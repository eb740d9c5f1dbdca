"""Google's own client, google-genai: the same program for its 1.x, 2.x and 3.x."""

import asyncio
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from driving import (
    API_KEY,
    BASE_URL,
    EMBEDDING_MODEL,
    HEADERS,
    IMAGE_MODEL,
    LIVE_MODEL,
    MODEL,
    POLL_SECONDS,
    POLLS_MOST,
    PROMPT,
    SECOND_PROMPT,
    VERTEX_LOCATION,
    VERTEX_PROJECT,
    main,
    said,
)
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

Found = dict[str, Any]


def options(**headers: str) -> types.HttpOptions:
    return types.HttpOptions(base_url=BASE_URL, headers=HEADERS | headers)


def of_vertex(token: str, **headers: str) -> genai.Client:
    return genai.Client(
        vertexai=True,
        project=VERTEX_PROJECT,
        location=VERTEX_LOCATION,
        credentials=Credentials(token=token),  # type: ignore[no-untyped-call]
        http_options=options(**headers),
    )


CLIENT = of_vertex(API_KEY) if VERTEX_PROJECT else genai.Client(api_key=API_KEY, http_options=options())


def generate() -> Found:
    answer = CLIENT.models.generate_content(model=MODEL, contents=PROMPT)
    return of_answers([answer])


def stream() -> Found:
    chunks = list(CLIENT.models.generate_content_stream(model=MODEL, contents=PROMPT))
    return of_stream(chunks)


def chat() -> Found:
    conversation = CLIENT.chats.create(model=MODEL)
    return of_answers([conversation.send_message(PROMPT), conversation.send_message(SECOND_PROMPT)])


def asynchronous() -> Found:
    async def ask() -> Any:
        return await CLIENT.aio.models.generate_content(model=MODEL, contents=PROMPT)

    return of_answers([asyncio.run(ask())])


def asynchronous_stream() -> Found:
    async def ask() -> list[Any]:
        return [chunk async for chunk in await CLIENT.aio.models.generate_content_stream(model=MODEL, contents=PROMPT)]

    return of_stream(asyncio.run(ask()))


def express() -> Found:
    client = genai.Client(vertexai=True, api_key=API_KEY, http_options=options())
    return of_answers([client.models.generate_content(model=MODEL, contents=PROMPT)])


def credentials_of_its_own() -> Found:
    client = of_vertex("a-token-of-googles", **{"x-goog-api-key": API_KEY})
    return of_answers([client.models.generate_content(model=MODEL, contents=PROMPT)])


def image() -> Found:
    answer = CLIENT.models.generate_content(model=IMAGE_MODEL, contents="Draw the book")
    images = [part.inline_data for part in parts(answer) if part.inline_data]
    usage = shown(answer.usage_metadata)
    return said(None, usage, usage["total_token_count"], an_image_came=[i.mime_type for i in images] == ["image/png"])


def count() -> Found:
    counted = CLIENT.models.count_tokens(model=MODEL, contents=PROMPT)
    return said(None, shown(counted), None, tokens_were_counted=counted.total_tokens > 0)


def embed() -> Found:
    answer = CLIENT.models.embed_content(model=EMBEDDING_MODEL, contents=PROMPT)
    return said(None, None, None, an_embedding_came=len(answer.embeddings[0].values) > 100)


def files() -> Found:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.txt"
        path.write_text("one line for each call\n" * 50)
        uploaded = CLIENT.files.upload(file=path, config={"display_name": "page", "mime_type": "text/plain"})
    got = CLIENT.files.get(name=uploaded.name)
    listed = [file.name for file in CLIENT.files.list()]
    answer = CLIENT.models.generate_content(
        model=MODEL, contents=[types.Part.from_uri(file_uri=got.uri, mime_type=got.mime_type), PROMPT]
    )
    CLIENT.files.delete(name=uploaded.name)
    left = [file.name for file in CLIENT.files.list()]
    found = of_answers([answer])
    found["facts"] = {
        "the file is got": got.name == uploaded.name and got.size_bytes == 23 * 50,
        "the file is listed, and no other": listed == [uploaded.name],
        "the file is gone": left == [],
    }
    return found


def caches() -> Found:
    content = types.Content(role="user", parts=[types.Part(text="one line for each call " * 200)])
    cache = CLIENT.caches.create(model=MODEL, config={"contents": [content], "ttl": "600s"})
    got = CLIENT.caches.get(name=cache.name)
    listed = [entry.name for entry in CLIENT.caches.list()]
    answer = CLIENT.models.generate_content(model=MODEL, contents=PROMPT, config={"cached_content": cache.name})
    CLIENT.caches.update(name=cache.name, config={"ttl": "900s"})
    CLIENT.caches.delete(name=cache.name)
    found = of_answers([answer])
    found["facts"] = {
        "the cache is got": got.name == cache.name,
        "the cache is listed, and no other": listed == [cache.name],
        "the cache was read": answer.usage_metadata.cached_content_token_count > 0,
    }
    return found


def batches() -> Found:
    requests = [{"contents": [{"role": "user", "parts": [{"text": text}]}]} for text in (PROMPT, SECOND_PROMPT)]
    job = CLIENT.batches.create(model=MODEL, src=requests)
    for _ in range(POLLS_MOST):
        job = CLIENT.batches.get(name=job.name)
        if job.state == types.JobState.JOB_STATE_SUCCEEDED:
            break
        time.sleep(POLL_SECONDS)
    again = CLIENT.batches.get(name=job.name)
    answers = [entry.response for entry in job.dest.inlined_responses]
    found = of_answers(answers)
    found["facts"] = {
        "both requests were answered": len(answers) == 2,
        "the answers can be fetched again": len(again.dest.inlined_responses) == 2,
    }
    return found


def live() -> Found:
    async def converse() -> list[list[Any]]:
        config = types.LiveConnectConfig(response_modalities=[types.Modality.TEXT])
        turns = []
        async with CLIENT.aio.live.connect(model=LIVE_MODEL, config=config) as session:
            for text in (PROMPT, SECOND_PROMPT):
                turn = types.Content(role="user", parts=[types.Part(text=text)])
                await session.send_client_content(turns=turn, turn_complete=True)
                turns.append([message async for message in session.receive()])
        return turns

    turns = asyncio.run(converse())
    usages = [message.usage_metadata for turn in turns for message in turn if message.usage_metadata]
    text = "\n".join("".join(message.text or "" for message in turn) for turn in turns)
    total = sum(usage.total_token_count for usage in usages)
    return said(text, [shown(usage) for usage in usages], total, each_turn_has_its_usage=len(usages) == 2)


def interactions() -> Found:
    first = CLIENT.interactions.create(model=MODEL, input=PROMPT)
    second = CLIENT.interactions.create(model=MODEL, input=SECOND_PROMPT, previous_interaction_id=first.id)
    again = CLIENT.interactions.get(first.id)
    totals = first.usage.total_tokens + second.usage.total_tokens
    usages = [shown(first.usage), shown(second.usage)]
    text = f"{spoken(first.steps)}\n{spoken(second.steps)}"
    return said(text, usages, totals, it_can_be_fetched_again=again.id == first.id)


def interactions_stream() -> Found:
    events = list(CLIENT.interactions.create(model=MODEL, input=PROMPT, stream=True))
    text = "".join(getattr(event.delta, "text", None) or "" for event in events if event.event_type == "step.delta")
    (usage,) = [event.interaction.usage for event in events if event.event_type == "interaction.completed"]
    return said(text, shown(usage), usage.total_tokens)


def interactions_background() -> Found:
    begun = CLIENT.interactions.create(model=MODEL, input=PROMPT, background=True)
    for _ in range(POLLS_MOST):
        ended = CLIENT.interactions.get(begun.id)
        if ended.status == "completed":
            break
        time.sleep(POLL_SECONDS)
    again = CLIENT.interactions.get(begun.id)
    it_began = begun.status == "in_progress"
    total = ended.usage.total_tokens
    return said(spoken(ended.steps), shown(ended.usage), total, it_began=it_began, it_stays=again.id == begun.id)


def spoken(steps: Iterable[Any]) -> str:
    outputs = [step for step in steps if step.type == "model_output"]
    return "".join(content.text for step in outputs for content in step.content if content.type == "text")


def parts(answer: Any) -> list[Any]:
    return list(answer.candidates[0].content.parts) if answer.candidates else []


def shown(value: Any) -> Any:
    return value.model_dump(mode="json", exclude_none=True)


def of_answers(answers: list[Any]) -> Found:
    total = sum(answer.usage_metadata.total_token_count for answer in answers)
    return said("\n".join(answer.text for answer in answers), [shown(a.usage_metadata) for a in answers], total)


def of_stream(chunks: list[Any]) -> Found:
    usage = chunks[-1].usage_metadata
    text = "".join(part.text for chunk in chunks for part in parts(chunk) if part.text)
    return said(text, shown(usage), usage.total_token_count, it_came_in_pieces=len(chunks) > 1)


if __name__ == "__main__":
    main(
        {
            "generate": generate,
            "stream": stream,
            "chat": chat,
            "async": asynchronous,
            "async-stream": asynchronous_stream,
            "express": express,
            "credentials": credentials_of_its_own,
            "image": image,
            "count": count,
            "embed": embed,
            "files": files,
            "caches": caches,
            "batches": batches,
            "live": live,
            "interactions": interactions,
            "interactions-stream": interactions_stream,
            "interactions-background": interactions_background,
        }
    )
