"""Two closed lists of headers: one for each direction, and nothing that could be read in two ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.errors import InvalidInput
from jangbu.gateway.headers import forwarded, forwarded_with_upload, require_sound, returned

SECRET = b"jangbu_CANARY"
CLIENT = [
    (b"host", b"gateway.example"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, br, zstd"),
    (b"user-agent", b"google-genai-sdk/3.4.0 gl-python/3.11"),
    (b"x-goog-api-client", b"google-genai-sdk/3.4.0 gl-python/3.11"),
    (b"Content-Type", b"application/json"),
    (b"content-length", b"12"),
    (b"x-server-timeout", b"60"),
    (b"X-Vertex-AI-LLM-Request-Type", b"shared"),
    (b"X-Vertex-AI-LLM-Shared-Request-Type", b"flex"),
]


def test_what_describes_the_request_goes_on_under_lower_case_names() -> None:
    assert dict(forwarded(CLIENT)) == {
        b"accept": b"*/*",
        b"user-agent": b"google-genai-sdk/3.4.0 gl-python/3.11",
        b"x-goog-api-client": b"google-genai-sdk/3.4.0 gl-python/3.11",
        b"x-server-timeout": b"60",
        b"x-vertex-ai-llm-request-type": b"shared",
        b"x-vertex-ai-llm-shared-request-type": b"flex",
    }


@pytest.mark.parametrize("called", [b"application/x-protobuf", b"application/json; charset=utf-16", b"text/plain"])
def test_what_was_read_as_json_goes_on_as_json(called: bytes) -> None:
    given = [(b"content-type", called), (b"x-goog-upload-command", b"start")]
    assert forwarded(given, has_json=True) == ((b"content-type", b"application/json"),)


def test_the_upload_protocol_goes_on() -> None:
    upload = [
        (b"X-Goog-Upload-Protocol", b"resumable"),
        (b"X-Goog-Upload-Command", b"upload, finalize"),
        (b"X-Goog-Upload-Offset", b"0"),
        (b"X-Goog-Upload-Header-Content-Length", b"5"),
        (b"X-Goog-Upload-Header-Content-Type", b"text/plain"),
        (b"X-Goog-Upload-File-Name", b"a.txt"),
    ]
    assert forwarded_with_upload(upload) == tuple((name.lower(), value) for name, value in upload)
    assert forwarded(upload) == ()


@pytest.mark.parametrize(
    "name",
    [
        *("authorization", "x-goog-api-key", "cookie", "proxy-authorization", "host", "content-length"),
        *("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-connection", "expect"),
        *("x-forwarded-for", "x-forwarded-host", "forwarded", "x-real-ip", "via", "origin", "referer"),
        *("x-http-method-override", "x-method-override", "x-goog-fieldmask", "x-goog-user-project", "range"),
        *("x-goog-request-params", "content-encoding", "accept-encoding", "if-none-match", "x-jangbu-user"),
        *("x-end-user", "x-stainless-lang", "x-goog-upload-url", "x-goog-iam-authorization-token"),
    ],
)
def test_nothing_else_goes_on(name: str) -> None:
    value = {"content-length": b"1", "transfer-encoding": b"chunked"}.get(name, SECRET)
    for written in (name, name.upper(), name.title()):
        assert forwarded([(written.encode(), value)]) == ()


def test_no_binary_answer_is_asked_for() -> None:
    assert forwarded([(b"accept", b"application/x-ProtoBuf")]) == ()
    assert forwarded([(b"accept", b"text/event-stream")]) == ((b"accept", b"text/event-stream"),)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([(b"user-agent", b"a\r\nx-goog-api-key: b")], id="two headers in one"),
        pytest.param([(b"user-agent", b"a\nb")], id="a line break"),
        pytest.param([(b"x-of-no-concern", b"a\x00b")], id="a NUL in a header that does not pass"),
        pytest.param([(b"user-agent", b"a\x7f")], id="a control byte"),
        pytest.param([(b"x y", b"a")], id="a space in a name"),
        pytest.param([(b"x-a\r\nx-b", b"a")], id="a line break in a name"),
        pytest.param([(b"", b"a")], id="no name"),
        pytest.param([(b"content-type", b"a"), (b"Content-Type", b"b")], id="two content types"),
        pytest.param([(b"x-goog-api-key", b"a"), (b"x-goog-api-key", b"b")], id="two keys"),
        pytest.param([(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")], id="two bearers"),
        pytest.param([(b"x-jangbu-user", b"a"), (b"x-jangbu-user", b"b")], id="two users"),
        pytest.param([(b"host", b"a"), (b"host", b"b")], id="two hosts"),
        pytest.param([(b"content-length", b"1"), (b"content-length", b"1")], id="two lengths"),
        pytest.param([(b"content-length", b"1"), (b"transfer-encoding", b"chunked")], id="length and chunks"),
        pytest.param([(b"transfer-encoding", b"chunked"), (b"content-length", b"1")], id="chunks and length"),
        pytest.param([(b"content-length", b"+1")], id="a signed length"),
        pytest.param([(b"content-length", b"1, 1")], id="a list of lengths"),
        pytest.param([(b"content-length", b"")], id="an empty length"),
        pytest.param([(b"transfer-encoding", b"gzip, chunked")], id="another coding"),
        pytest.param([(b"transfer-encoding", b"\x0bchunked")], id="a hidden coding"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(InvalidInput):
        require_sound(headers)


def test_a_refusal_repeats_no_value() -> None:
    with pytest.raises(InvalidInput) as refused:
        require_sound([(b"x-goog-api-key", SECRET), (b"x-goog-api-key", SECRET)])
    assert SECRET.decode() not in str(refused.value)


def test_chunks_and_tabs_and_letters_beyond_ascii_are_sound() -> None:
    require_sound([(b"transfer-encoding", b"Chunked"), (b"user-agent", b"a\tb"), (b"x-jangbu-tags", "장부".encode())])


def test_an_answer_comes_back_with_what_describes_it() -> None:
    answer = [
        (b"Content-Type", b"text/event-stream"),
        (b"X-Gemini-Service-Tier", b"standard"),
        (b"Server-Timing", b"gfet4t7; dur=500"),
        (b"Retry-After", b"3"),
        (b"Content-Disposition", b"attachment"),
        (b"Content-Encoding", b"gzip"),
        (b"X-Goog-Upload-Status", b"active"),
        (b"X-Goog-Upload-Chunk-Granularity", b"262144"),
    ]
    assert returned(answer) == [(name.lower(), value) for name, value in answer]


@pytest.mark.parametrize(
    "name",
    [
        *("set-cookie", "authorization", "x-goog-api-key", "www-authenticate", "location", "alt-svc"),
        *("transfer-encoding", "connection", "content-length", "keep-alive", "upgrade", "trailer"),
        *("x-goog-upload-url", "x-goog-upload-control-url", "server", "via", "x-jangbu-call-id"),
        *("access-control-allow-origin", "strict-transport-security", "x-forwarded-for"),
    ],
)
def test_nothing_else_comes_back(name: str) -> None:
    assert returned([(name.encode(), b"x"), (name.title().encode(), b"x")]) == []


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb", b"a\x00", b"a\x1f"])
def test_a_response_is_not_split_and_not_lost_either(value: bytes) -> None:
    assert returned([(b"retry-after", value), (b"content-type", b"text/plain")]) == [(b"content-type", b"text/plain")]


@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20)), max_size=6))
def test_any_headers_are_read_or_refused(headers: list[tuple[bytes, bytes]]) -> None:
    passed = returned(headers)
    try:
        require_sound(headers)
    except InvalidInput:
        return
    passed += forwarded(headers)
    assert not any(byte < 32 and byte != 9 for _, value in passed for byte in value)
