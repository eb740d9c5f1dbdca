"""curl, as people type it: every place for the key, every version of the paths, every form of a stream."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from driving import API_KEY, BASE_URL, EMBEDDING_MODEL, HEADERS, MODEL, PROMPT, main, said

KEY = f"x-goog-api-key: {API_KEY}"
QUESTION = {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}
Found = dict[str, Any]


def generate() -> Found:
    return of_answers(ask(f"/v1beta/models/{MODEL}:generateContent", QUESTION))


def version_1() -> Found:
    return of_answers(ask(f"/v1/models/{MODEL}:generateContent", QUESTION))


def version_1_alpha() -> Found:
    return of_answers(ask(f"/v1alpha/models/{MODEL}:generateContent", QUESTION))


def unversioned() -> Found:
    return of_answers(ask(f"/models/{MODEL}:generateContent", QUESTION))


def doubled_slash() -> Found:
    return of_answers(ask(f"//v1beta/models/{MODEL}:generateContent", QUESTION))


def key_in_query() -> Found:
    return of_answers(ask(f"/v1beta/models/{MODEL}:generateContent?key={API_KEY}", QUESTION, key=None))


def bearer() -> Found:
    path = f"/v1beta/models/{MODEL}:generateContent"
    return of_answers(ask(path, QUESTION, key=f"authorization: Bearer {API_KEY}"))


def compressed() -> Found:
    return of_answers(json.loads(curl("--compressed", *post(f"/v1beta/models/{MODEL}:generateContent", QUESTION))))


def stream() -> Found:
    body = curl("--no-buffer", *post(f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse", QUESTION))
    chunks = [json.loads(line[5:]) for line in body.splitlines() if line.startswith(b"data:")]
    return of_stream(chunks)


def stream_array() -> Found:
    return of_stream(ask(f"/v1beta/models/{MODEL}:streamGenerateContent", QUESTION))


def count() -> Found:
    counted = ask(f"/v1beta/models/{MODEL}:countTokens", QUESTION)
    return said(None, counted, None, tokens_were_counted=counted["totalTokens"] > 0)


def embed() -> Found:
    answer = ask(f"/v1beta/models/{EMBEDDING_MODEL}:embedContent", {"content": {"parts": [{"text": PROMPT}]}})
    usage = answer["usageMetadata"]
    came = len(answer["embedding"]["values"]) > 100
    return said(None, usage, usage["promptTokenCount"], an_embedding_came=came)


def models() -> Found:
    listed = [model["name"] for model in json.loads(curl(url("/v1beta/models"), "-H", KEY))["models"]]
    return said(None, None, None, models_are_listed=f"models/{MODEL}" in listed)


def files() -> Found:
    """Upload by the resumable protocol; the second request carries no key, as the Python client's does not."""
    page = b"one line for each call\n" * 50
    begin = ["-H", "x-goog-upload-protocol: resumable", "-H", "x-goog-upload-command: start"]
    begin += ["-H", "x-goog-upload-header-content-type: text/plain", "--dump-header", "-", "--output", "/dev/null"]
    begun = curl(*begin, *post("/upload/v1beta/files", {"file": {"displayName": "page"}})).decode()
    address = next(
        line.split(": ", 1)[1] for line in begun.splitlines() if line.lower().startswith("x-goog-upload-url")
    )
    finish = ["-H", "x-goog-upload-command: upload, finalize", "-H", "x-goog-upload-offset: 0"]
    uploaded = json.loads(sent(page, *finish, address))["file"]
    listed = [file["name"] for file in json.loads(curl(url("/v1beta/files"), "-H", KEY))["files"]]
    curl("-X", "DELETE", url(f"/v1beta/{uploaded['name']}"), "-H", KEY)
    left = json.loads(curl(url("/v1beta/files"), "-H", KEY)).get("files", [])
    return said(
        None,
        None,
        None,
        it_is_as_long_as_the_page=int(uploaded["sizeBytes"]) == len(page),
        the_upload_goes_where_it_began=address.startswith(BASE_URL),
        it_is_listed_and_no_other=listed == [uploaded["name"]],
        it_is_gone=left == [],
    )


def ask(path: str, body: dict[str, Any], key: str | None = KEY) -> Any:
    return json.loads(curl(*post(path, body, key)))


def post(path: str, body: dict[str, Any], key: str | None = KEY) -> list[str]:
    credential = [] if key is None else ["-H", key]
    return [url(path), *credential, "-H", "content-type: application/json", "--data", json.dumps(body)]


def url(path: str) -> str:
    return BASE_URL + path


def sent(data: bytes, *arguments: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data"
        file.write_bytes(data)
        return curl(*arguments, "--data-binary", f"@{file}")


def curl(*arguments: str) -> bytes:
    headers = [word for name, value in HEADERS.items() for word in ("-H", f"{name}: {value}")]
    command = ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "30", *headers, *arguments]
    ended = subprocess.run(command, capture_output=True, check=False)
    if ended.returncode:
        raise SystemExit(f"curl ended with {ended.returncode}: {ended.stderr.decode()} {ended.stdout.decode()}")
    return ended.stdout


def texts(answer: dict[str, Any]) -> Iterator[str]:
    for candidate in answer.get("candidates", ()):
        yield from (part.get("text", "") for part in candidate["content"]["parts"])


def of_answers(*answers: Any) -> Found:
    usages = [answer["usageMetadata"] for answer in answers]
    text = "\n".join("".join(texts(answer)) for answer in answers)
    return said(text, usages, sum(usage["totalTokenCount"] for usage in usages))


def of_stream(chunks: list[Any]) -> Found:
    usage = chunks[-1]["usageMetadata"]
    text = "".join(piece for chunk in chunks for piece in texts(chunk))
    return said(text, usage, usage["totalTokenCount"], it_came_in_pieces=len(chunks) > 1)


if __name__ == "__main__":
    main(
        {
            "generate": generate,
            "version-1": version_1,
            "version-1-alpha": version_1_alpha,
            "unversioned": unversioned,
            "doubled-slash": doubled_slash,
            "key-in-query": key_in_query,
            "bearer": bearer,
            "compressed": compressed,
            "stream": stream,
            "stream-array": stream_array,
            "count": count,
            "embed": embed,
            "models": models,
            "files": files,
        }
    )
