"""LiteLLM's client, which speaks Gemini's protocol itself."""

import asyncio
import os
from typing import Any

from driving import API_KEY, BASE_URL, EMBEDDING_MODEL, HEADERS, MODEL, PROMPT, SECOND_PROMPT, main, said

# Without it the client asks the network for prices when it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm

SETTINGS: dict[str, Any] = {
    "model": f"gemini/{MODEL}",
    "api_key": API_KEY,
    "api_base": f"{BASE_URL}/v1beta",
    "extra_headers": HEADERS,
}
QUESTION = {"role": "user", "content": PROMPT}
Found = dict[str, Any]


def generate() -> Found:
    return of_answers(litellm.completion(messages=[QUESTION], **SETTINGS))


def unversioned() -> Found:
    """Name the base without a version, as many do: the client then posts to /models/…"""
    return of_answers(litellm.completion(messages=[QUESTION], **{**SETTINGS, "api_base": BASE_URL}))


def chat() -> Found:
    first = litellm.completion(messages=[QUESTION], **SETTINGS)
    spoken = {"role": "assistant", "content": first.choices[0].message.content}
    messages = [QUESTION, spoken, {"role": "user", "content": SECOND_PROMPT}]
    return of_answers(first, litellm.completion(messages=messages, **SETTINGS))


def stream() -> Found:
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    return of_stream(list(litellm.completion(messages=[QUESTION], **asked, **SETTINGS)))


def asynchronous() -> Found:
    async def ask() -> Any:
        return await litellm.acompletion(messages=[QUESTION], **SETTINGS)

    return of_answers(asyncio.run(ask()))


def asynchronous_stream() -> Found:
    async def ask() -> list[Any]:
        asked = {"stream": True, "stream_options": {"include_usage": True}}
        chunks = await litellm.acompletion(messages=[QUESTION], **asked, **SETTINGS)
        return [chunk async for chunk in chunks]

    return of_stream(asyncio.run(ask()))


def embed() -> Found:
    answer = litellm.embedding(input=[PROMPT], **{**SETTINGS, "model": f"gemini/{EMBEDDING_MODEL}"})
    return said(None, None, None, an_embedding_came=len(answer.data[0]["embedding"]) > 100)


def of_answers(*answers: Any) -> Found:
    usages = [answer.usage.model_dump(exclude_none=True) for answer in answers]
    text = "\n".join(answer.choices[0].message.content for answer in answers)
    return said(text, usages, sum(usage["total_tokens"] for usage in usages))


def of_stream(chunks: list[Any]) -> Found:
    usage = [chunk.usage for chunk in chunks if getattr(chunk, "usage", None)][-1]
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    shown = usage.model_dump(exclude_none=True)
    return said(text, shown, usage.total_tokens, it_came_in_pieces=len(chunks) > 1)


if __name__ == "__main__":
    main(
        {
            "generate": generate,
            "unversioned": unversioned,
            "chat": chat,
            "stream": stream,
            "async": asynchronous,
            "async-stream": asynchronous_stream,
            "embed": embed,
        }
    )
