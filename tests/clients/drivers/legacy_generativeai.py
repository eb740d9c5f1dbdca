"""Google's former client, google-generativeai, over REST: its gRPC goes to no URL but Google's own.

Its upload of files and its asynchronous methods are not driven: the former reads a description of the API from an
address that is written into it, the latter exist over gRPC alone.
"""

from collections.abc import Iterable
from typing import Any

import google.generativeai as genai
from driving import API_KEY, BASE_URL, EMBEDDING_MODEL, HEADERS, MODEL, PROMPT, SECOND_PROMPT, main, said
from google.generativeai import caching

genai.configure(
    api_key=API_KEY,
    transport="rest",
    client_options={"api_endpoint": BASE_URL},
    default_metadata=list(HEADERS.items()),
)
Found = dict[str, Any]


def generate() -> Found:
    return of_answers(genai.GenerativeModel(MODEL).generate_content(PROMPT))


def stream() -> Found:
    answer = genai.GenerativeModel(MODEL).generate_content(PROMPT, stream=True)
    texts = [chunk.text for chunk in answer]
    found = of_answers(answer)
    found["text"] = "".join(texts)
    found["facts"] = {"it came in pieces": len(texts) > 1}
    return found


def chat() -> Found:
    conversation = genai.GenerativeModel(MODEL).start_chat()
    return of_answers(conversation.send_message(PROMPT), conversation.send_message(SECOND_PROMPT))


def count() -> Found:
    counted = genai.GenerativeModel(MODEL).count_tokens(PROMPT)
    return said(None, {"total_tokens": counted.total_tokens}, None, tokens_were_counted=counted.total_tokens > 0)


def embed() -> Found:
    answer = genai.embed_content(model=f"models/{EMBEDDING_MODEL}", content=PROMPT)
    return said(None, None, None, an_embedding_came=len(answer["embedding"]) > 100)


def embed_many() -> Found:
    answer = genai.embed_content(model=f"models/{EMBEDDING_MODEL}", content=[PROMPT, SECOND_PROMPT])
    return said(None, None, None, both_embeddings_came=len(answer["embedding"]) == 2)


def caches() -> Found:
    cache = caching.CachedContent.create(model=f"models/{MODEL}", contents=["one line for each call " * 200])
    listed = [entry.name for entry in caching.CachedContent.list()]
    answer = genai.GenerativeModel.from_cached_content(cache).generate_content(PROMPT)
    cache.delete()
    found = of_answers(answer)
    found["facts"] = {
        "the cache is listed, and no other": listed == [cache.name],
        "the cache was read": answer.usage_metadata.cached_content_token_count > 0,
    }
    return found


def of_answers(*answers: Any) -> Found:
    usages = [answer.usage_metadata for answer in answers]
    total = sum(usage.total_token_count for usage in usages)
    return said("\n".join(answer.text for answer in answers), list(shown(usages)), total)


def shown(usages: Iterable[Any]) -> Iterable[dict[str, int]]:
    for usage in usages:
        yield {
            "prompt_token_count": usage.prompt_token_count,
            "candidates_token_count": usage.candidates_token_count,
            "total_token_count": usage.total_token_count,
        }


if __name__ == "__main__":
    main(
        {
            "generate": generate,
            "stream": stream,
            "chat": chat,
            "count": count,
            "embed": embed,
            "embed-many": embed_many,
            "caches": caches,
        }
    )
