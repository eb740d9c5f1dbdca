"""A query is a closed list of parameters, written anew; what opens doors is taken out of it."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.errors import InvalidInput
from jangbu.gateway.queries import BYTES_MOST, KNOWN, known_to, query_of, read_query, redacted
from jangbu.gateway.routes import find

SECRET = "jangbu_CANARY0123456789abcdefABCDEF"


@pytest.mark.parametrize(
    ("raw", "encoded"),
    [
        (b"", ""),
        (b"&&", ""),
        (b"alt=sse", "alt=sse"),
        (b"$alt=json;enum-encoding=int", "%24alt=json%3Benum-encoding%3Dint"),
        (b"%24alt=json%3Benum-encoding%3Dint", "%24alt=json%3Benum-encoding%3Dint"),
        (b"pageSize=10&pageToken=a%2Bb%3D%3D", "pageSize=10&pageToken=a%2Bb%3D%3D"),
        (b"filter=display_name%3D%22a+b%22", "filter=display_name%3D%22a%20b%22"),
        (b"updateMask=ttl", "updateMask=ttl"),
        (b"update_mask=ttl,expire_time", "update_mask=ttl%2Cexpire_time"),
        (b"uploadType=resumable&prettyPrint=false", "uploadType=resumable&prettyPrint=false"),
        (b"include_input=true&stream=true&last_event_id=x", "include_input=true&stream=true&last_event_id=x"),
        (b"filter=%EC%9E%A5", "filter=%EC%9E%A5"),
    ],
)
def test_what_clients_ask_for_is_written_anew(raw: bytes, encoded: str) -> None:
    query = read_query(raw)
    assert (query.encoded, query.key, query.upload_id) == (encoded, None, None)


@pytest.mark.parametrize("raw", ["key={}", "alt=sse&key={}", "%6Bey={}", "key={}&alt=sse", "key={}&key2=", "k%65y={}"])
def test_a_key_is_found_and_goes_no_further(raw: str) -> None:
    query_bytes = raw.format(SECRET).removesuffix("&key2=").encode()
    query = read_query(query_bytes)
    assert query.key == SECRET
    assert SECRET not in query.encoded + repr(query) + redacted(query_bytes)


@pytest.mark.parametrize(
    ("method", "path", "known"),
    [
        ("POST", "v1beta/models/m:generateContent", set()),
        ("POST", "v1beta/cachedContents", set()),
        ("GET", "v1beta/files/f", set()),
        ("GET", "v1beta/files", {"filter", "pageSize", "pageToken"}),
        ("PATCH", "v1beta/cachedContents/c", {"updateMask", "update_mask"}),
        ("POST", "upload/v1beta/files", {"uploadType", "upload_protocol"}),
        ("GET", "v1beta/interactions/i", {"include_input", "last_event_id", "stream"}),
    ],
)
def test_a_parameter_passes_only_where_it_means_something(method: str, path: str, known: set[str]) -> None:
    route = find(method, tuple(path.split("/")))
    assert route is not None
    assert known_to(route) == {"alt", "$alt", "prettyPrint", *known}
    for name in KNOWN:
        if name in known_to(route):
            assert read_query(f"{name}=json".encode(), known_to(route)).value(name) == "json"
        else:
            with pytest.raises(InvalidInput, match="not offered"):
                read_query(f"{name}=json".encode(), known_to(route))


def test_an_upload_id_is_a_credential_too() -> None:
    query = read_query(f"upload_id={SECRET}&upload_protocol=resumable".encode())
    assert query.upload_id == SECRET
    assert query.encoded == "upload_protocol=resumable"
    assert SECRET not in repr(query)


def test_an_empty_key_is_none() -> None:
    assert read_query(b"key=&alt=sse").key is None


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"key=a&key=b", id="two keys"),
        pytest.param(b"key=a&%6bey=b", id="two keys, one encoded"),
        pytest.param(b"key=&key=b", id="two keys, one empty"),
        pytest.param(b"alt=sse&alt=json", id="two forms"),
        pytest.param(b"fields=candidates", id="fields"),
        pytest.param(b"$fields=candidates", id="fields, as a system parameter"),
        pytest.param(b"%24fields=candidates", id="fields, encoded"),
        pytest.param(b"callback=f", id="a callback"),
        pytest.param(b"access_token=a", id="an access token"),
        pytest.param(b"Key=a", id="another case"),
        pytest.param(b"quotaUser=a", id="unknown"),
        pytest.param(b"=a", id="no name"),
        pytest.param(b"alt=proto", id="a binary form"),
        pytest.param(b"$alt=proto", id="a binary form, as a system parameter"),
        pytest.param(b"alt=media", id="a file where there is none"),
        pytest.param(b"filter=%00", id="an encoded NUL"),
        pytest.param(b"filter=%0d%0a", id="encoded line breaks"),
        pytest.param(b"filter=%C2%85", id="an encoded control character"),
        pytest.param(b"filter=%ff", id="no UTF-8"),
        pytest.param(b"filter=%zz", id="no encoding"),
        pytest.param(b"filter=%2", id="half an encoding"),
        pytest.param(b"filter=a b", id="a space"),
        pytest.param(b"filter=\xff", id="not ASCII"),
        pytest.param(b"filter=a\n", id="a line break"),
        pytest.param(b"filter=" + b"a" * BYTES_MOST, id="too long"),
        pytest.param(b"&".join(b"a%d=" % n for n in range(100)), id="too many"),
    ],
)
def test_all_else_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_query(raw)


def test_a_refusal_says_why_and_repeats_no_secret() -> None:
    with pytest.raises(InvalidInput, match="usage out of the answer"):
        read_query(b"fields=candidates")
    with pytest.raises(InvalidInput) as refused:
        read_query(SECRET.encode())
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("POST", "v1beta/models/m:streamGenerateContent", {"sse"}),
        ("POST", "v1beta/interactions", {"sse"}),
        ("GET", "v1beta/interactions/i", {"sse"}),
        ("GET", "v1beta/files/f", set()),
        ("POST", "upload/v1beta/files", set()),
        ("POST", "v1beta/interactions/i/cancel", set()),
        ("POST", "v1beta/models/m:generateContent", set()),
        ("POST", "v1beta/models/m:batchGenerateContent", set()),
        ("POST", "v1beta/models/m:predictLongRunning", set()),
        ("POST", "v1beta/cachedContents", set()),
        ("GET", "v1beta/batches/b", set()),
        ("GET", "v1beta/batches", set()),
        ("POST", "v1beta/openai/chat/completions", set()),
    ],
)
def test_an_answer_comes_in_a_form_that_its_route_has(method: str, path: str, more: set[str]) -> None:
    route = find(method, tuple(path.split("/")))
    assert route is not None
    for form in ("json", "json;enum-encoding=int", "sse", "media"):
        for name in ("alt", "$alt"):
            raw = f"{name}={form}".encode()
            if form in more or form.startswith("json"):
                assert query_of(route, raw).value(name) == form
            else:
                with pytest.raises(InvalidInput, match="leave"):
                    query_of(route, raw)


@pytest.mark.parametrize("raw", [b"", b"prettyPrint=true", b"alt=media", b"$alt=media"])
def test_a_file_is_asked_for_as_its_bytes(raw: bytes) -> None:
    route = find("GET", ("v1beta", "files", "f:download"))
    assert route is not None
    assert query_of(route, raw).value("alt") == "media"


@pytest.mark.parametrize("form", ["json", "json;enum-encoding=int", "sse", "proto", ""])
@pytest.mark.parametrize("name", ["alt", "$alt"])
def test_a_file_comes_in_no_other_form(name: str, form: str) -> None:
    route = find("GET", ("v1beta", "files", "f:download"))
    assert route is not None
    with pytest.raises(InvalidInput, match="use media"):
        query_of(route, f"{name}={form}".encode())


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"alt=sse&key=" + SECRET.encode(), "alt=sse&key=***"),
        (b"upload_id=abc&upload_protocol=resumable", "upload_id=***&upload_protocol=resumable"),
        (b"%6Bey=" + SECRET.encode(), "key=***"),
        (b"KEY=" + SECRET.encode(), "unknown=***"),
        (SECRET.encode(), "unknown=***"),
        (b"alt=" + SECRET.encode(), "alt=***"),
        (b"pageToken=abc&pageSize=5", "pageToken=***&pageSize=5"),
        (b"alt=sse%0a", "alt=***"),
        (b"", ""),
    ],
)
def test_a_log_shows_no_secret(raw: bytes, shown: str) -> None:
    assert redacted(raw) == shown


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    assert redacted(raw).isprintable()
    try:
        query = read_query(raw)
    except InvalidInput:
        return
    assert tuple(parse_qsl(query.encoded, keep_blank_values=True)) == query.parameters


@given(st.dictionaries(st.sampled_from(["filter", "pageToken", "last_event_id"]), st.text(max_size=40)))
def test_what_was_written_anew_reads_the_same(parameters: dict[str, str]) -> None:
    plain = {name: "".join(c for c in text if c.isprintable()) for name, text in parameters.items()}
    query = read_query("&".join(f"{n}={_quoted(v)}" for n, v in plain.items()).encode())
    assert dict(query.parameters) == plain
    assert read_query(query.encoded.encode()) == query


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())
