"""The fake on the wire: framing, paths, errors and everything that can go wrong with an answer."""

import gzip
import json
from http.client import IncompleteRead, RemoteDisconnected
from typing import Any

import pytest

from jangbu.testing import Answer, Behaviour, FakeGemini, Recorded
from tests.testing.raw import GENERATE, HELLO, STREAM, ask, ask_and_leave, behave, converse

SSE = STREAM + "?alt=sse"


@pytest.mark.parametrize(
    "prefix",
    [
        "/v1",
        "/v1beta",
        "/v1alpha",
        "",
        "//v1beta/",
        "/prefix/gateway/v1",
        "/v1/projects/p/locations/l/publishers/google",
    ],
)
def test_all_ways_to_write_a_path_lead_to_the_same_surface(fake_gemini: FakeGemini, prefix: str) -> None:
    answer = ask(fake_gemini.url, f"{prefix}/models/gemini-2.5-flash:generateContent", HELLO)
    assert answer.json["usageMetadata"]["totalTokenCount"] == 62
    (logged,) = fake_gemini.answers()
    assert (logged.surface, logged.model) == ("generate_content", "gemini-2.5-flash")


def test_the_log_tells_who_asked_and_what_was_reported(fake_gemini: FakeGemini) -> None:
    answer = ask(fake_gemini.url, GENERATE, {**HELLO, "labels": {"team": "red"}}, headers={"x-jangbu-user": "kim"})
    assert fake_gemini.answers() == [
        Answer(
            order=1,
            at=fake_gemini.answers()[0].at,
            method="POST",
            path=GENERATE,
            surface="generate_content",
            status=200,
            model="gemini-2.5-flash",
            user="kim",
            labels={"team": "red"},
            response_id=answer.json["responseId"],
            reported=answer.json["usageMetadata"],
            counted=answer.json["usageMetadata"],
        )
    ]


def test_response_ids_are_never_given_twice(fake_gemini: FakeGemini) -> None:
    ids = {ask(fake_gemini.url, GENERATE, HELLO).json["responseId"] for _ in range(20)}
    assert len(ids) == 20


def test_a_stream_of_the_gemini_api_counts_in_every_chunk(fake_gemini: FakeGemini) -> None:
    answer = ask(fake_gemini.url, SSE, HELLO)
    assert answer.headers["content-type"] == "text/event-stream"
    usages = [event["usageMetadata"] for event in answer.events]
    assert [usage["totalTokenCount"] for usage in usages] == [33, 43, 52, 62]
    assert len({event["responseId"] for event in answer.events}) == 1
    assert [event["candidates"][0].get("finishReason") for event in answer.events] == [None, None, None, "STOP"]
    (logged,) = fake_gemini.answers()
    assert logged.reported == logged.counted == usages[-1]


def test_a_stream_of_vertex_counts_in_the_last_chunk_only(fake_gemini: FakeGemini) -> None:
    path = "/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    *early, last = [event["usageMetadata"] for event in ask(fake_gemini.url, path, HELLO).events]
    assert early == [{"trafficType": "ON_DEMAND"}] * 3
    assert last["totalTokenCount"] == 62


def test_a_stream_without_alt_is_one_growing_array(fake_gemini: FakeGemini) -> None:
    answer = ask(fake_gemini.url, STREAM, HELLO)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json[-1]["usageMetadata"]["totalTokenCount"] == 62


def test_a_prompt_can_shrink_while_it_streams(fake_gemini: FakeGemini) -> None:
    events = ask(fake_gemini.url, SSE, HELLO, headers=behave("shrinking_prompt")).events
    assert [event["usageMetadata"]["promptTokenCount"] for event in events] == [4, 4, 4, 2]


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "INVALID_ARGUMENT"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (429, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
        (503, "UNAVAILABLE"),
    ],
)
def test_errors_have_googles_shape_and_no_usage(fake_gemini: FakeGemini, status: int, name: str) -> None:
    answer = ask(fake_gemini.url, GENERATE, HELLO, headers=behave(f"{status}; retry_after=7"))
    error = answer.json["error"]
    assert (answer.status, error["code"], error["status"]) == (status, status, name)
    if status == 429:
        assert error["details"][0]["retryDelay"] == "7s"
    (logged,) = fake_gemini.answers()
    assert (logged.status, logged.reported, logged.counted, logged.response_id) == (status, None, None, None)


def test_a_blocked_prompt_has_no_candidates_and_no_counts(fake_gemini: FakeGemini) -> None:
    answer = ask(fake_gemini.url, GENERATE, HELLO, headers=behave("blocked")).json
    assert answer["promptFeedback"]["blockReason"]
    assert not {"candidates", "usageMetadata"} & set(answer)
    (logged,) = fake_gemini.answers()
    assert (logged.reported, logged.counted) == (None, None)


def test_an_answer_stopped_for_safety_is_counted(fake_gemini: FakeGemini) -> None:
    answer = ask(fake_gemini.url, GENERATE, HELLO, headers=behave("safety")).json
    assert answer["candidates"][0]["finishReason"] == "SAFETY"
    assert answer["usageMetadata"]["promptTokenCount"] == 2
    assert "candidatesTokenCount" not in answer["usageMetadata"]


@pytest.mark.parametrize("kind", ["garbage", "html"])
def test_garbage_is_no_json(fake_gemini: FakeGemini, kind: str) -> None:
    answer = ask(fake_gemini.url, GENERATE, HELLO, headers=behave(kind))
    assert answer.status == 200
    with pytest.raises(ValueError, match=r"."):
        _ = answer.json


def test_odd_usage_is_reported_and_the_true_one_is_counted(fake_gemini: FakeGemini) -> None:
    odd = ask(fake_gemini.url, GENERATE, HELLO, headers=behave("usage=negative")).json["usageMetadata"]
    assert odd["totalTokenCount"] == -62
    assert "usageMetadata" not in ask(fake_gemini.url, GENERATE, HELLO, headers=behave("usage=missing")).json
    first, second = fake_gemini.answers()
    assert first.reported == odd
    assert second.reported is None
    assert first.counted == second.counted == {**odd, **(second.counted or {})}


def test_a_cut_answer_breaks_off_in_mid_body(fake_gemini: FakeGemini) -> None:
    with pytest.raises(IncompleteRead) as broken:
        ask(fake_gemini.url, GENERATE, HELLO, headers=behave("cut"))
    assert broken.value.partial
    (logged,) = fake_gemini.answers()
    assert logged.completely_sent is False
    assert logged.reported is None
    assert logged.counted is not None


@pytest.mark.parametrize("cut", range(6))
def test_a_cut_stream_reports_what_was_in_its_last_whole_chunk(fake_gemini: FakeGemini, cut: int) -> None:
    with pytest.raises((IncompleteRead, RemoteDisconnected)) as broken:
        ask(fake_gemini.url, SSE, HELLO, headers=behave(f"cut={cut}"))
    partial = broken.value.partial if isinstance(broken.value, IncompleteRead) else b""
    whole = [json.loads(event[6:]) for event in partial.split(b"\r\n\r\n")[:-1]]
    (logged,) = fake_gemini.answers()
    assert logged.completely_sent is False
    assert logged.reported == (whole[-1]["usageMetadata"] if whole else None)
    assert logged.counted is not None
    assert logged.counted["totalTokenCount"] == 62


def test_a_stream_can_turn_into_an_error(fake_gemini: FakeGemini) -> None:
    events = ask(fake_gemini.url, SSE, HELLO, headers=behave("error_after=2")).events
    assert [("error" in event) for event in events] == [False, False, True]
    assert fake_gemini.answers()[0].reported == events[1]["usageMetadata"]


def test_a_client_that_leaves_is_noticed_and_still_counted() -> None:
    with FakeGemini(chunk_delay=0.05) as gemini:
        ask_and_leave(gemini.url, SSE, HELLO, after_bytes=10)
        (logged,) = gemini.wait_for_answers(1)
    assert logged.completely_sent is False
    assert logged.counted is not None
    assert logged.reported != logged.counted


@pytest.mark.parametrize("path", [GENERATE, SSE])
def test_answers_can_come_in_gzip(path: str) -> None:
    with FakeGemini(gzip=True) as gemini:
        packed = ask(gemini.url, path, HELLO, headers={"accept-encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        plain = ask(gemini.url, path, HELLO)
        assert "content-encoding" not in plain.headers
        assert len(gzip.decompress(packed.body)) == len(plain.body)


RECORDED = b'{ "usageMetadata" : {"totalTokenCount": 12},\n "responseId":"x" }'


@pytest.mark.parametrize(
    ("recorded", "path"),
    [
        (Recorded(RECORDED), GENERATE),
        (Recorded(b"[" + RECORDED + b"]", status=200), STREAM),
        (Recorded(b"data: " + RECORDED.replace(b"\n", b"") + b"\r\n\r\ndata: {}\r\n\r\n", "text/event-stream"), SSE),
        (Recorded(b"data: " + RECORDED.replace(b"\n", b"") + b"\n\n: rest", "text/event-stream"), SSE),
        (Recorded(b'{"error":{"code":503}}', status=503), GENERATE),
    ],
)
def test_a_recorded_answer_is_served_byte_for_byte(fake_gemini: FakeGemini, recorded: Recorded, path: str) -> None:
    fake_gemini.when(Behaviour(recorded=recorded), model="gemini-2.5", path="/models/")
    answer = ask(fake_gemini.url, path, HELLO)
    assert (answer.status, answer.body, answer.headers["content-type"]) == (
        recorded.status,
        recorded.body,
        recorded.content_type,
    )
    (logged,) = fake_gemini.answers()
    assert logged.reported == (None if recorded.status == 503 else {"totalTokenCount": 12})
    fake_gemini.forget_behaviours()
    assert ask(fake_gemini.url, path, HELLO).body != recorded.body


def test_the_openai_endpoint_hides_thoughts_in_the_total(fake_gemini: FakeGemini) -> None:
    body = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hello"}], "user": "kim"}
    answer = ask(fake_gemini.url, "/v1beta/openai/chat/completions", body).json
    assert answer["usage"] == {"prompt_tokens": 2, "completion_tokens": 38, "total_tokens": 62}
    (logged,) = fake_gemini.answers()
    assert (logged.surface, logged.user, logged.model) == ("openai_chat", "kim", "gemini-2.5-flash")


def test_the_openai_stream_reports_usage_only_when_asked(fake_gemini: FakeGemini) -> None:
    path = "/v1beta/openai/chat/completions"
    body = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hello"}], "stream": True}
    silent = ask(fake_gemini.url, path, body)
    assert not any(event.get("usage") for event in silent.events)
    assert silent.body.endswith(b"data: [DONE]\n\n")
    telling = ask(fake_gemini.url, path, {**body, "stream_options": {"include_usage": True}})
    assert telling.events[-1]["usage"]["total_tokens"] == 62
    first, second = fake_gemini.answers()
    assert first.reported is None
    assert first.counted == second.reported == telling.events[-1]["usage"]


def test_embedding_models_differ_in_what_they_report(fake_gemini: FakeGemini) -> None:
    def usage(path: str, body: dict[str, Any]) -> Any:
        return ask(fake_gemini.url, path, body).json.get("usageMetadata")

    content = {"content": {"parts": [{"text": "abcdefgh"}]}, "outputDimensionality": 3}
    details = [{"modality": "TEXT", "tokenCount": 2}]
    assert usage("/v1/models/gemini-embedding-001:embedContent", content) is None
    assert usage("/v1/models/gemini-embedding-2:embedContent", content) == {
        "promptTokenCount": 2,
        "promptTokenDetails": details,
    }
    assert (
        usage("/v1/models/gemini-embedding-2:batchEmbedContents", {"requests": [content, content]})["promptTokenCount"]
        == 4
    )
    assert usage("/v1/projects/p/locations/l/publishers/google/models/gemini-embedding-001:embedContent", content) == {
        "promptTokenCount": 2,
        "promptTokensDetails": details,
        "totalTokenCount": 2,
    }


def test_images_and_videos_report_no_usage(fake_gemini: FakeGemini) -> None:
    images = ask(
        fake_gemini.url,
        "/v1/models/imagen-4:predict",
        {"instances": [{"prompt": "x"}], "parameters": {"sampleCount": 2}},
    )
    assert len(images.json["predictions"]) == 2
    operation = ask(fake_gemini.url, "/v1/models/veo-3:predictLongRunning", {"instances": [{"prompt": "x"}]}).json
    done = ask(fake_gemini.url, f"/v1/{operation['name']}").json
    assert done["done"] is True
    assert all(answer.reported is None for answer in fake_gemini.answers())


def test_a_multipart_upload_is_taken(fake_gemini: FakeGemini) -> None:
    body = (
        b'--b\r\nContent-Type: application/json\r\n\r\n{"file":{"displayName":"a"}}\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b--\r\n"
    )
    headers = {"x-goog-upload-protocol": "multipart", "content-type": "multipart/related; boundary=b"}
    file = ask(fake_gemini.url, "/upload/v1beta/files", body, headers=headers).json["file"]
    assert (file["displayName"], file["mimeType"], file["sizeBytes"]) == ("a", "text/plain", "5")
    assert ask(fake_gemini.url, f"/download/v1beta/{file['name']}:download?alt=media").body == b"hello"


def test_only_the_right_key_is_let_in() -> None:
    with FakeGemini(api_key="right") as gemini:
        assert ask(gemini.url, GENERATE, HELLO, headers={"x-goog-api-key": "wrong"}).status == 400
        assert ask(gemini.url, GENERATE, HELLO, headers={"x-goog-api-key": "right"}).status == 200
        assert ask(gemini.url, GENERATE + "?key=right", HELLO).status == 200
        assert ask(gemini.url, GENERATE, HELLO, headers={"authorization": "Bearer right"}).status == 200
        assert "right" not in repr(gemini.answers())


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/nothing", {}, 404),
        ("/v1/models/m:noSuchVerb", {}, 404),
        (GENERATE, b"{no json", 400),
        (GENERATE, b"[]", 400),
        (GENERATE, {"contents": [], "cachedContent": "cachedContents/none"}, 403),
        ("/v1/interactions", {"model": "m"}, 400),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_and_logged(
    fake_gemini: FakeGemini, path: str, body: object, status: int
) -> None:
    assert ask(fake_gemini.url, path, body).status == status
    assert [answer.status for answer in fake_gemini.answers()] == [status]


def test_requests_can_be_looked_at(fake_gemini: FakeGemini) -> None:
    ask(fake_gemini.url, GENERATE, HELLO, headers={"x-note": "1"})
    (request,) = fake_gemini.requests()
    assert (request.method, request.path, request.headers["x-note"]) == ("POST", GENERATE, "1")
    assert json.loads(request.body) == HELLO


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (
            b"transfer-encoding: chunked\r\nexpect: 100-continue",
            b'5;x=y\r\n{"con\r\nd\r\ntents":"hello\r\n2\r\n"}\r\n0\r\n\r\n',
        ),
        (b"content-length: 20", b'{"contents":"hello"}'),
    ],
)
def test_requests_may_be_chunked_and_follow_one_another_at_once(
    fake_gemini: FakeGemini, head: bytes, body: bytes
) -> None:
    request = b"POST " + GENERATE.encode() + b" HTTP/1.1\r\nhost: fake\r\n" + head
    closing = request + b"\r\nconnection: close\r\n\r\n" + body
    said = converse(fake_gemini.url, request + b"\r\n\r\n" + body + closing)
    assert said.count(b"HTTP/1.1 200 OK") == 2
    assert said.count(b"100 Continue") == (2 if b"expect" in head else 0)
    assert [answer.reported and answer.reported["promptTokenCount"] for answer in fake_gemini.answers()] == [2, 2]


@pytest.mark.parametrize("head", [b"NONSENSE", b"GET / HTTP/1.1\r\nno colon", b"GET / HTTP/1.1\r\ncontent-length: x"])
def test_what_is_no_http_is_refused(fake_gemini: FakeGemini, head: bytes) -> None:
    assert converse(fake_gemini.url, head + b"\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert fake_gemini.answers() == []


def test_an_old_client_gets_a_stream_in_one_piece(fake_gemini: FakeGemini) -> None:
    body = json.dumps(HELLO).encode()
    head = f"POST {SSE} HTTP/1.0\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    said = converse(fake_gemini.url, head + body)
    assert b"transfer-encoding" not in said
    assert said.count(b"data: ") == 4
