"""OpenAI's client on Gemini's OpenAI-compatible endpoint."""

import asyncio
from typing import Any

from driving import API_KEY, BASE_URL, EMBEDDING_MODEL, HEADERS, MODEL, PROMPT, SECOND_PROMPT, main, said
from openai import AsyncOpenAI, OpenAI

SETTINGS: dict[str, Any] = {
    "api_key": API_KEY,
    "base_url": f"{BASE_URL}/v1beta/openai/",
    "default_headers": HEADERS,
    "max_retries": 0,
}
CLIENT = OpenAI(**SETTINGS)
QUESTION: Any = {"role": "user", "content": PROMPT}
Found = dict[str, Any]


def generate() -> Found:
    return of_answers(CLIENT.chat.completions.create(model=MODEL, messages=[QUESTION]))


def chat() -> Found:
    first = CLIENT.chat.completions.create(model=MODEL, messages=[QUESTION])
    spoken: Any = {"role": "assistant", "content": first.choices[0].message.content}
    messages = [QUESTION, spoken, {"role": "user", "content": SECOND_PROMPT}]
    return of_answers(first, CLIENT.chat.completions.create(model=MODEL, messages=messages))


def stream() -> Found:
    """Stream without asking for usage: none may be shown, and no chunk without choices."""
    chunks = list(CLIENT.chat.completions.create(model=MODEL, messages=[QUESTION], stream=True))
    return said(
        text_of(chunks),
        None,
        None,
        it_came_in_pieces=len(chunks) > 1,
        no_usage_came_unasked=all(chunk.usage is None for chunk in chunks),
        each_chunk_has_its_choice=all(chunk.choices for chunk in chunks),
    )


def stream_usage() -> Found:
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    return of_stream(list(CLIENT.chat.completions.create(model=MODEL, messages=[QUESTION], **asked)))


def asynchronous() -> Found:
    async def ask() -> Any:
        async with AsyncOpenAI(**SETTINGS) as client:
            return await client.chat.completions.create(model=MODEL, messages=[QUESTION])

    return of_answers(asyncio.run(ask()))


def asynchronous_stream() -> Found:
    async def ask() -> list[Any]:
        asked: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
        async with AsyncOpenAI(**SETTINGS) as client:
            chunks = await client.chat.completions.create(model=MODEL, messages=[QUESTION], **asked)
            return [chunk async for chunk in chunks]

    return of_stream(asyncio.run(ask()))


def embed() -> Found:
    answer = CLIENT.embeddings.create(model=EMBEDDING_MODEL, input=PROMPT, encoding_format="float")
    dimensions = len(answer.data[0].embedding)
    return said(None, answer.usage.model_dump(), answer.usage.total_tokens, an_embedding_came=dimensions > 100)


def models() -> Found:
    names = [model.id for model in CLIENT.models.list()]
    return said(None, None, None, models_are_listed=f"models/{MODEL}" in names)


def text_of(chunks: list[Any]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def of_answers(*answers: Any) -> Found:
    usages = [answer.usage.model_dump(exclude_none=True) for answer in answers]
    text = "\n".join(answer.choices[0].message.content for answer in answers)
    return said(text, usages, sum(usage["total_tokens"] for usage in usages))


def of_stream(chunks: list[Any]) -> Found:
    (usage,) = [chunk.usage for chunk in chunks if chunk.usage]
    shown = usage.model_dump(exclude_none=True)
    return said(text_of(chunks), shown, usage.total_tokens, it_came_in_pieces=len(chunks) > 1)


if __name__ == "__main__":
    main(
        {
            "generate": generate,
            "chat": chat,
            "stream": stream,
            "stream-usage": stream_usage,
            "async": asynchronous,
            "async-stream": asynchronous_stream,
            "embed": embed,
            "models": models,
        }
    )
