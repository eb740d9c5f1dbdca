"""The fake on the wire: what is put away, asked about, given up and fetched again."""

import json
from typing import Any

from jangbu.testing import FakeGemini
from tests.testing.raw import HELLO, ask

UPLOAD = "/upload/v1beta/files"
BATCH = "/v1beta/models/gemini-2.5-flash:batchGenerateContent"


def begun(fake: FakeGemini) -> str:
    """Begin an upload; give the path where it goes on."""
    headers = {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
    return ask(fake.url, UPLOAD, {"file": {}}, headers=headers).headers["x-goog-upload-url"].removeprefix(fake.url)


def command(word: str, offset: int = 0) -> dict[str, str]:
    return {"x-goog-upload-command": word, "x-goog-upload-offset": str(offset)}


def uploaded(fake: FakeGemini, data: bytes) -> dict[str, Any]:
    answer = ask(fake.url, begun(fake), data, headers=command("upload, finalize"))
    file: dict[str, Any] = answer.json["file"]
    return file


def test_an_upload_says_how_far_it_came_and_what_became_of_it(fake_gemini: FakeGemini) -> None:
    path = begun(fake_gemini)
    ask(fake_gemini.url, path, b"01234", headers=command("upload"))
    stand = ask(fake_gemini.url, path, b"", method="POST", headers=command("query"))
    assert (stand.headers["x-goog-upload-status"], stand.headers["x-goog-upload-size-received"]) == ("active", "5")
    done = ask(fake_gemini.url, path, b"56789", headers=command("upload, finalize", 5))
    stand = ask(fake_gemini.url, path, b"", method="POST", headers=command("query"))
    assert (stand.headers["x-goog-upload-status"], stand.json) == ("final", done.json)


def test_an_upload_that_is_given_up_is_gone(fake_gemini: FakeGemini) -> None:
    path = begun(fake_gemini)
    gone = ask(fake_gemini.url, path, b"", method="POST", headers=command("cancel"))
    assert gone.headers["x-goog-upload-status"] == "cancelled"
    assert ask(fake_gemini.url, path, b"0", headers=command("upload, finalize")).status == 404


def test_a_batch_of_a_file_leaves_a_file_of_answers(fake_gemini: FakeGemini) -> None:
    lines = [{"key": key, "request": request} for key, request in (("a", HELLO), ("b", {}))]
    file = uploaded(fake_gemini, b"\n".join(json.dumps(line).encode() for line in lines))
    batch = ask(fake_gemini.url, BATCH, {"batch": {"inputConfig": {"fileName": file["name"]}}}).json
    assert "response" not in ask(fake_gemini.url, f"/v1beta/{batch['name']}").json
    done = ask(fake_gemini.url, f"/v1beta/{batch['name']}").json
    assert done["response"]["responsesFile"] == done["metadata"]["output"]["responsesFile"]
    path = f"/v1beta/{done['response']['responsesFile']}:download?alt=media"
    elsewhere = ask(fake_gemini.url, path)
    assert (elsewhere.status, elsewhere.headers["location"]) == (302, f"{fake_gemini.url}/download{path}")
    content = ask(fake_gemini.url, f"/download{path}").body
    first, second = [json.loads(line) for line in content.splitlines()]
    assert (first["key"], first["response"]["usageMetadata"]["totalTokenCount"]) == ("a", 62)
    assert (second["key"], second["error"]["code"]) == ("b", 400)
    assert len(fake_gemini.answers()[-3].members) == 1


def test_a_batch_can_be_deleted_by_a_verb(fake_gemini: FakeGemini) -> None:
    name = ask(fake_gemini.url, BATCH, {"batch": {}}).json["name"]
    assert ask(fake_gemini.url, f"/v1beta/{name}:delete", b"", method="POST").status == 200
    assert ask(fake_gemini.url, f"/v1beta/{name}").status == 404


def test_an_interaction_in_the_background_can_be_cancelled(fake_gemini: FakeGemini) -> None:
    body = {"model": "gemini-2.5-flash", "input": "hello", "background": True}
    name = f"interactions/{ask(fake_gemini.url, '/v1beta/interactions', body).json['id']}"
    cancelled = ask(fake_gemini.url, f"/v1beta/{name}/cancel", b"", method="POST").json
    assert (cancelled["status"], "usage" in cancelled) == ("cancelled", False)
    assert ask(fake_gemini.url, f"/v1beta/{name}").json == cancelled


def test_images_in_openais_words(fake_gemini: FakeGemini) -> None:
    body = {"model": "imagen-4.0-generate-001", "prompt": "a cat", "n": 2}
    answer = ask(fake_gemini.url, "/v1beta/openai/images/generations", body).json
    assert [list(image) for image in answer["data"]] == [["b64_json"], ["b64_json"]]
    assert "usage" not in answer


def test_a_video_can_be_fetched(fake_gemini: FakeGemini) -> None:
    path = "/v1beta/models/veo-3.0-generate-001:predictLongRunning"
    name = ask(fake_gemini.url, path, {"instances": [{"prompt": "a cat"}]}).json["name"]
    [sample] = ask(fake_gemini.url, f"/v1beta/{name}").json["response"]["generateVideoResponse"]["generatedSamples"]
    uri = sample["video"]["uri"]
    assert b"ftyp" in ask(fake_gemini.url, "/download/v1beta/files/" + uri.partition("/files/")[2]).body
