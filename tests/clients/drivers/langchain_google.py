"""LangChain's client for Gemini, langchain-google-genai, which rests on google-genai 2.x."""

import asyncio
from typing import Any

from driving import API_KEY, BASE_URL, EMBEDDING_MODEL, HEADERS, MODEL, PROMPT, SECOND_PROMPT, main, said
from langchain_core.messages import AIMessage, HumanMessage
from langchain_google_genai import ChatGoogleGenerativeAI, GoogleGenerativeAIEmbeddings

SETTINGS: dict[str, Any] = {"google_api_key": API_KEY, "base_url": BASE_URL, "additional_headers": HEADERS}
CHAT = ChatGoogleGenerativeAI(model=MODEL, **SETTINGS)
Found = dict[str, Any]


def generate() -> Found:
    return of_answers(CHAT.invoke(PROMPT))


def stream() -> Found:
    return of_stream(list(CHAT.stream(PROMPT)))


def chat() -> Found:
    first = CHAT.invoke([HumanMessage(PROMPT)])
    second = CHAT.invoke([HumanMessage(PROMPT), AIMessage(first.content), HumanMessage(SECOND_PROMPT)])
    return of_answers(first, second)


def asynchronous() -> Found:
    async def ask() -> Any:
        return await CHAT.ainvoke(PROMPT)

    return of_answers(asyncio.run(ask()))


def asynchronous_stream() -> Found:
    async def ask() -> list[Any]:
        return [chunk async for chunk in CHAT.astream(PROMPT)]

    return of_stream(asyncio.run(ask()))


def embed() -> Found:
    embeddings = GoogleGenerativeAIEmbeddings(model=f"models/{EMBEDDING_MODEL}", **SETTINGS)
    return said(None, None, None, an_embedding_came=len(embeddings.embed_query(PROMPT)) > 100)


def of_answers(*answers: Any) -> Found:
    usages = [answer.usage_metadata for answer in answers]
    return said("\n".join(answer.text for answer in answers), usages, sum(usage["total_tokens"] for usage in usages))


def of_stream(chunks: list[Any]) -> Found:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    found = of_answers(whole)
    found["facts"] = {"it came in pieces": len(chunks) > 1}
    return found


if __name__ == "__main__":
    main(
        {
            "generate": generate,
            "stream": stream,
            "chat": chat,
            "async": asynchronous,
            "async-stream": asynchronous_stream,
            "embed": embed,
        }
    )
