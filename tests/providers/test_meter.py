"""Bytes as they pass: compressed, cut, hostile. The meter reads what it can and never stands in their way."""

import base64
import gzip
import json
import random
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from jangbu.domain.usage import Anomaly, Source, Surface
from jangbu.errors import InvalidAnswer
from jangbu.providers import gemini
from jangbu.providers.gemini import json_values, server_sent_events

ANSWER = {
    "candidates": [{"content": {"parts": [{"text": '한국어 \\ " {[ ok'}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 5, "totalTokenCount": 12},
}
BODY = json.dumps(ANSWER, ensure_ascii=False).encode()
EVENTS = b"data: " + BODY + b"\r\n\r\n"


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


ENCODINGS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "DEFLATE": raw_deflate,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "identity": bytes,
    "gzip, br": lambda body: brotli.compress(gzip.compress(body)),
}


def metered(body: bytes, step: int, encoding: str | None = None) -> gemini.StreamMeter:
    meter = gemini.StreamMeter(content_encoding=encoding)
    for start in range(0, len(body), step):
        meter.feed(body[start : start + step])
    return meter


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_a_compressed_stream_is_read_wherever_it_is_cut(encoding: str, step: int) -> None:
    usage = metered(ENCODINGS[encoding](EVENTS), step, encoding).finish()
    assert (usage.source, usage.total_tokens) == (Source.REPORTED, 12)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_a_compressed_stream_that_breaks_off_is_no_final_word(encoding: str) -> None:
    many = b"".join(b": %d\n\n" % number for number in range(2000))
    packed = ENCODINGS[encoding](EVENTS + many)
    assert metered(packed[:-3], 50, encoding).finish().source is not Source.REPORTED


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_several_compressed_members_are_one_stream(encoding: str) -> None:
    pack = ENCODINGS[encoding]
    assert metered(pack(EVENTS[:40]) + pack(EVENTS[40:]), 9, encoding).finish().total_tokens == 12


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "rot13"])
def test_bytes_that_are_not_of_their_encoding_are_refused_in_one_line(encoding: str) -> None:
    with pytest.raises(InvalidAnswer) as refusal:
        gemini.parse(b"\x00 no such thing " + BODY, headers={"Content-Encoding": encoding})
    assert "\n" not in str(refusal.value)
    assert metered(b"\x00 no such thing", 3, encoding).finish().source is Source.NONE


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
def test_a_bomb_does_not_unfold_in_memory(encoding: str) -> None:
    bomb = ENCODINGS[encoding](b'data: {"text": "' + b" " * 100_000_000)
    meter = gemini.StreamMeter(content_encoding=encoding)
    tracemalloc.start()
    meter.feed(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * server_sent_events.EVENT_BYTES_MOST
    assert meter.finish().source is Source.NONE


@pytest.mark.parametrize(
    "framed", [lambda body: body, lambda body: b"data: " + body + b"\n\n", lambda body: b"[%s]" % body]
)
def test_an_image_passes_through_in_a_few_kilobytes(framed: "type[bytes]") -> None:
    part = {"inlineData": {"mimeType": "image/png", "data": "A1b+" * 500_000}}
    answer = {**ANSWER, "candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]}
    body = framed(json.dumps(answer).encode())
    meter = gemini.StreamMeter()
    tracemalloc.start()
    for start in range(0, len(body), 65_536):
        meter.feed(body[start : start + 65_536])
    usage = meter.finish()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert usage.total_tokens == 12
    assert peak < 400_000


@pytest.mark.parametrize("name", ["continuationToken", "continuation_token"])
@pytest.mark.parametrize("step", [1, 5, 4_000, 9_999])
def test_a_token_to_go_on_with_is_known_by_all_of_it(name: str, step: int) -> None:
    token = base64.b64encode(random.Random(1).randbytes(9_000)).decode()
    image = {"inlineData": {"mimeType": "image/png", "data": token}}
    candidate = {"content": {"parts": [image]}, "finishReason": "CONTINUATION", name: token}
    surface = Surface.GENERATE_CONTENT if name == "continuationToken" else Surface.INTERACTIONS
    answer = {"candidates": [candidate]} if surface is Surface.GENERATE_CONTENT else {"id": "v1_a", name: token}
    body = json.dumps(answer).encode()
    meter = gemini.StreamMeter(surface)
    for start in range(0, len(body), step):
        meter.feed(body[start : start + step])
    assert meter.continuations == (token,)


def test_an_event_beyond_the_bound_is_passed_over_and_the_rest_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_sent_events, "EVENT_BYTES_MOST", 1000)
    monkeypatch.setattr(json_values, "EVENT_BYTES_MOST", 1000)
    large = json.dumps({**ANSWER, "more": "a b " * 1000}).encode()
    usage = metered(EVENTS + b"data: " + large + b"\n\n", 100).finish()
    assert (usage.source, usage.total_tokens) == (Source.PARTIAL, 12)
    assert metered(large, 100).finish().source is Source.NONE


@pytest.mark.parametrize("ending", ["\n", "\r", "\r\n"])
def test_any_line_ending_ends_a_line(ending: str) -> None:
    text = EVENTS.decode().replace("\r\n", ending)
    for step in (1, 2, 3, 1000):
        assert metered(text.encode(), step).finish().total_tokens == 12


def test_comments_other_fields_and_several_data_lines_are_understood() -> None:
    head, tail = BODY.split(b", ", 1)
    body = b": ping\n\nid: 3\nevent: x\nretry: 5\ndata:" + head + b",\ndata: " + tail + b"\n\ndata: [DONE]\n\n"
    assert gemini.parse(b"\xef\xbb\xbf" + body).total_tokens == 12


def test_usage_seen_turns_true_with_the_first_counts() -> None:
    meter = gemini.StreamMeter(Surface.STREAM_GENERATE_CONTENT)
    meter.feed(EVENTS[:-3])
    assert not meter.usage_seen
    meter.feed(EVENTS[-3:])
    assert meter.usage_seen


def test_the_transport_has_the_last_word_on_what_broke_off() -> None:
    assert gemini.parse(EVENTS, complete=False).source is Source.PARTIAL
    assert gemini.parse(BODY, complete=False).source is Source.PARTIAL


def test_a_json_array_that_is_not_closed_broke_off() -> None:
    assert gemini.parse(b"[" + BODY + b"]").source is Source.REPORTED
    assert gemini.parse(b"[" + BODY + b",").source is Source.PARTIAL


@pytest.mark.parametrize(
    "body",
    [b"", b" \n", b"{", b"[1]", b'"text"', b"<html>no</html>", b"\xff\xfe", b'{"a": 1}', BODY[:-4], b"[[]]"],
)
def test_bytes_that_are_no_answer_are_refused_in_one_line(body: bytes) -> None:
    with pytest.raises(InvalidAnswer) as refusal:
        gemini.parse(body)
    assert "\n" not in str(refusal.value)
    assert metered(body or b" ", 1).finish().source is Source.NONE


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("misread", [lambda body: body, lambda body: body.decode("latin-1")])
def test_an_answer_in_utf_16_is_told_by_what_to_do(encoding: str, misread: Callable[[bytes], object]) -> None:
    with pytest.raises(InvalidAnswer, match="perhaps UTF-16") as refusal:
        gemini.parse_object(misread(BODY.decode().encode(encoding)))
    assert "give it in UTF-8" in refusal.value.hint


def test_an_unreadable_answer_is_flagged_as_missing() -> None:
    assert metered(b"<html>", 2).finish().anomalies == (Anomaly.USAGE_MISSING,)


@pytest.mark.parametrize("value", ["9" * 30, "9" * 5000, "[" * 5000, "1e999", "-1", "true", '"-5"', '"٥"', "[]", "{}"])
def test_no_count_is_believed_that_is_no_count(value: str) -> None:
    body = b'{"usageMetadata": {"promptTokenCount": ' + value.encode() + b', "totalTokenCount": 3}}'
    usage = metered(body, 100).finish()
    assert (usage.source, usage.total_tokens) == (Source.NONE, 0)


json_numbers = st.one_of(st.integers(-(2**60), 2**60), st.floats(), st.booleans(), st.none(), st.text(max_size=5))


@given(
    prompt=json_numbers,
    candidates=json_numbers,
    total=json_numbers,
    detail=st.one_of(
        json_numbers, st.lists(st.fixed_dictionaries({"modality": json_numbers, "tokenCount": json_numbers}))
    ),
)
def test_what_is_charged_is_a_count_that_was_reported(
    prompt: object, candidates: object, total: object, detail: object
) -> None:
    spoken = {"promptTokenCount": prompt, "candidatesTokenCount": candidates, "totalTokenCount": total}
    usage = gemini.parse_object({"usageMetadata": {**spoken, "promptTokensDetails": detail}})
    assert type(usage.total_tokens) is int
    assert 0 <= usage.total_tokens <= 2**53 - 1
    if usage.source is Source.NONE:
        assert usage.total_tokens == 0
    elif total is not None:
        assert usage.total_tokens == int(str(total))


KNOWN_WORDS = """
candidates usageMetadata promptTokenCount totalTokenCount promptTokensDetails modality tokenCount error
response metadata output inlinedResponses serverContent usage total_tokens total_input_tokens interaction
event_type steps choices data predictions embeddings statistics token_count name model groundingMetadata
webSearchQueries grounding_tool_count batch results body finishReason content parts index promptFeedback delta
arguments
"""
KEYS = st.sampled_from(KNOWN_WORDS.split()) | st.text(max_size=3)
json_values_any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=80)
@given(st.one_of(st.dictionaries(KEYS, json_values_any, max_size=5), st.lists(json_values_any, max_size=4)))
@pytest.mark.parametrize("surface", [None, *Surface])
def test_no_json_raises_anything_but_a_refusal(surface: Surface | None, value: object) -> None:
    body = json.dumps(value).encode()
    try:
        usage = gemini.parse(body, surface=surface)
    except InvalidAnswer:
        usage = metered(body, 10).finish()
    assert usage.total_tokens >= 0
    json.dumps(usage.raw, allow_nan=False)


@settings(max_examples=300)
@given(st.binary(max_size=200), st.integers(1, 50), st.sampled_from([None, "gzip", "deflate", "br", "zstd"]))
def test_no_bytes_raise_anything_but_a_refusal(body: bytes, step: int, encoding: str | None) -> None:
    assert metered(body, step, encoding).finish().total_tokens >= 0
    for start in (b"", b"{", b"[", b"data: ", b'[{"candidates":'):
        try:
            gemini.parse(start + body)
        except InvalidAnswer:
            continue


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_stream_never_raises(data: st.DataObject) -> None:
    body = bytearray(EVENTS * 3)
    for _ in range(data.draw(st.integers(1, 5))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    assert metered(bytes(body), 13).finish().total_tokens >= 0
