"""Pydantic AI's agent on Gemini, pydantic-ai-slim[google], which rests on google-genai 2.x."""

import asyncio
from typing import Any

from driving import API_KEY, BASE_URL, EMBEDDING_MODEL, HEADERS, MODEL, PROMPT, SECOND_PROMPT, main, said
from google import genai
from google.genai import types
from pydantic_ai import Agent, Embedder
from pydantic_ai.embeddings.google import GoogleEmbeddingModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.settings import ModelSettings

AGENT = Agent(
    GoogleModel(MODEL, provider=GoogleProvider(api_key=API_KEY, base_url=BASE_URL)),
    model_settings=ModelSettings(extra_headers=HEADERS),
)
Found = dict[str, Any]


def generate() -> Found:
    return of_answers(AGENT.run_sync(PROMPT))


def chat() -> Found:
    first = AGENT.run_sync(PROMPT)
    second = AGENT.run_sync(SECOND_PROMPT, message_history=first.all_messages())
    return of_answers(first, second)


def stream() -> Found:
    async def ask() -> tuple[list[str], Any]:
        async with AGENT.run_stream(PROMPT) as answer:
            return [text async for text in answer.stream_text(delta=True, debounce_by=None)], answer.usage

    texts, usage = asyncio.run(ask())
    return said("".join(texts), shown(usage), total(usage), it_came_in_pieces=len(texts) > 1)


def functions() -> Found:
    """Let the model call a function and go on with its result: two requests to the API in one run."""
    pages = []

    def read_page(number: int) -> str:
        pages.append(number)
        return "the book has one line for each call"

    AGENT.tool_plain(read_page)
    found = of_answers(AGENT.run_sync(PROMPT))
    found["facts"] = {"the function was called": len(pages) == 1}
    return found


def embed() -> Found:
    options = types.HttpOptions(base_url=BASE_URL, headers=HEADERS)
    provider = GoogleProvider(client=genai.Client(api_key=API_KEY, http_options=options))
    answer = Embedder(GoogleEmbeddingModel(EMBEDDING_MODEL, provider=provider)).embed_query_sync(PROMPT)
    return said(None, None, None, an_embedding_came=len(answer.embeddings[0]) > 100)


def of_answers(*answers: Any) -> Found:
    usages = [answer.usage for answer in answers]
    return said(
        "\n".join(answer.output for answer in answers), [shown(usage) for usage in usages], sum(map(total, usages))
    )


def total(usage: Any) -> int:
    """Give input and output together: this client counts thoughts as output."""
    return int(usage.input_tokens + usage.output_tokens)


def shown(usage: Any) -> dict[str, Any]:
    return {"requests": usage.requests, "input": usage.input_tokens, "output": usage.output_tokens, **usage.details}


if __name__ == "__main__":
    main({"generate": generate, "stream": stream, "chat": chat, "functions": functions, "embed": embed})
