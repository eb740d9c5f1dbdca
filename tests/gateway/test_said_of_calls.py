"""What a client says of a call in headers: kept as it was said, or refused before the call with what to do about it."""

import json
from uuid import UUID

import pytest

from jangbu.storage import usage
from tests.gateway.raw import Answer, asked_once
from tests.gateway.stage import FLASH, Stage, asked

BODY = json.dumps(asked()).encode()
KIM = b"x-jangbu-user: kim"


async def called(served: Stage, *lines: bytes) -> Answer:
    """Make a call with these headers, byte by byte."""
    head = [
        f"POST /v1beta/models/{FLASH}:generateContent HTTP/1.1".encode(),
        b"host: gateway",
        f"x-goog-api-key: {served.key}".encode(),
        *lines,
        b"content-length: %d" % len(BODY),
    ]
    return await asked_once(served.url, b"\r\n".join([*head, b"", BODY]))


def tags(number: int) -> bytes:
    return b", ".join(b"k%d=%d" % (each, each) for each in range(number))


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param(b"a=1", {"a": "1"}, id="one"),
        pytest.param(b"jangbu_key=a, key=b", {"jangbu_key": "a", "key": "b"}, id="named like a key"),
        pytest.param(b"a=1, b=2,", {"a": "1", "b": "2"}, id="several"),
        pytest.param(b"a=", {"a": ""}, id="an empty value"),
        pytest.param(b"a=b=c", {"a": "b=c"}, id="a value with a sign"),
        pytest.param(b"a=NaN", {"a": "NaN"}, id="text that looks like no number"),
        pytest.param("쪽=3".encode(), {"쪽": "3"}, id="UTF-8"),
        pytest.param(b"UTF-8''%EC%AA%BD=100%25", {"쪽": "100%"}, id="escapes"),
        pytest.param(b'{"title": "a, feature=premium", "b": ""}', {"title": "a, feature=premium", "b": ""}, id="JSON"),
        pytest.param(rb'{"title": "\ucca0\uc218, \"\uc601\ud76c\""}', {"title": '철수, "영희"'}, id="JSON in ASCII"),
        pytest.param(b"a=100%", {"a": "100%"}, id="a % outside of escapes"),
        pytest.param(b"a=" + b"x" * 4_079, {"a": "x" * 4_079}, id="as long as may be"),
        pytest.param(tags(32), {f"k{each}": str(each) for each in range(32)}, id="as many as may be"),
    ],
)
async def test_tags_at_their_bounds_are_kept_as_they_were_said(
    served: Stage, sent: bytes, kept: dict[str, str]
) -> None:
    answer = await called(served, KIM, b"x-jangbu-tags: " + sent)
    assert answer.status == 200
    call = UUID(answer.headers["x-jangbu-call-id"])
    record = await usage.find(served.ledger.database, served.ledger.accounts.id_of("kim"), call)
    assert record is not None
    key = await served.ledger.keys.authenticate(served.key)
    assert json.loads(record.metadata or "{}") == {"tags": kept, "jangbu_key": str(key.id)}


@pytest.mark.parametrize(
    ("lines", "reason", "advice"),
    [
        pytest.param((KIM, b"x-jangbu-tags: a=" + b"x" * 4_080), "INVALID_METADATA", "4,096", id="too long"),
        pytest.param((KIM, b"x-jangbu-tags: " + tags(33)), "INVALID_METADATA", "keep it to 32", id="too many"),
        pytest.param((KIM, b"x-jangbu-tags: a=1, a=2"), "INVALID_METADATA", "one value", id="a name twice"),
        pytest.param((KIM, b"x-jangbu-tags: a=1", b"x-jangbu-tags: b=2"), "INVALID_INPUT", "once", id="twice"),
        pytest.param((KIM, b"x-jangbu-tags: a"), "INVALID_METADATA", "name=value", id="no sign"),
        pytest.param((KIM, b"x-jangbu-tags: =a"), "INVALID_METADATA", "name=value", id="no name"),
        pytest.param((KIM, b'x-jangbu-tags: {"a": NaN}'), "INVALID_METADATA", "name=value", id="JSON"),
        pytest.param((KIM, b'x-jangbu-tags: {"a": 1}'), "INVALID_METADATA", "name=value", id="JSON of numbers"),
        pytest.param((KIM, b'x-jangbu-tags: {"a": "1", "a": "2"}'), "INVALID_METADATA", "name=value", id="JSON twice"),
        pytest.param((KIM, b'x-jangbu-tags: {"a": "\\u0000"}'), "INVALID_METADATA", "NUL", id="JSON with NUL"),
        pytest.param((KIM, b"x-jangbu-tags: a=b\tc"), "INVALID_METADATA", "one line", id="a tab"),
        pytest.param((KIM, b"x-jangbu-tags: UTF-8''a=%00"), "INVALID_METADATA", "one line", id="NUL"),
        pytest.param((KIM, b"x-jangbu-tags: UTF-8''a=%0d%0ab"), "INVALID_METADATA", "one line", id="a line break"),
        pytest.param((KIM, b"x-jangbu-tags: a=\xe2\x80\xae"), "INVALID_METADATA", "one line", id="turned text"),
        pytest.param((KIM, b"x-jangbu-tags: a=\xff"), "INVALID_METADATA", "UTF-8", id="no UTF-8"),
        pytest.param((KIM, b"x-jangbu-tags: a=\xed\xa0\x80"), "INVALID_METADATA", "UTF-8", id="half a pair"),
        pytest.param((KIM, b"x-jangbu-tags: UTF-8''a=%ff"), "INVALID_METADATA", "UTF-8", id="no UTF-8 in escapes"),
        pytest.param((KIM, b"x-jangbu-tags: UTF-8''a=%z"), "INVALID_METADATA", "%25", id="no escape"),
        pytest.param((KIM, b"x-jangbu-service: " + b"s" * 51), "INVALID_INPUT", "1 to 50", id="a long service"),
        pytest.param((KIM, b"x-jangbu-service: \xff"), "INVALID_METADATA", "UTF-8", id="a service that is no UTF-8"),
        pytest.param((KIM, b"x-jangbu-service: a\tb"), "INVALID_METADATA", "one line", id="a tab in a service"),
        pytest.param((KIM, b"x-jangbu-service: a", b"x-jangbu-service: b"), "INVALID_INPUT", "once", id="two services"),
        pytest.param((b"x-jangbu-user: " + b"u" * 201,), "INVALID_METADATA", "keep it to 200", id="a long user"),
        pytest.param((b"x-jangbu-user: \xff",), "INVALID_METADATA", "UTF-8", id="a user that is no UTF-8"),
        pytest.param((b"x-jangbu-user: UTF-8''a%00b",), "INVALID_METADATA", "one line", id="NUL in a user"),
        pytest.param((b"x-jangbu-user: \t",), "MISSING_USER", "x-jangbu-user", id="an empty user"),
        pytest.param((KIM, b"x-jangbu-metadata: {}"), "INVALID_METADATA", "x-jangbu-tags", id="no such header"),
        pytest.param((KIM, b"X-Jangbu-Tag: a=1"), "INVALID_METADATA", "x-jangbu-tags", id="a slip of the pen"),
    ],
)
async def test_what_cannot_be_kept_is_refused_in_googles_words_before_the_call(
    served: Stage, lines: tuple[bytes, ...], reason: str, advice: str
) -> None:
    answer = await called(served, *lines)
    assert (answer.status, answer.reason) == (400, reason)
    error = json.loads(answer.body)["error"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert advice in error["message"]
    assert served.gemini.requests() == []
    assert await served.used() == (0, 0)


async def test_no_tags_may_be_said_as_an_empty_object(served: Stage) -> None:
    assert (await called(served, KIM, b"x-jangbu-tags: {}")).status == 200
