"""A path is taken apart as it came over the wire; one that no client writes is not taken apart at all."""

import pytest

from jangbu.gateway.paths import BYTES_MOST, SEGMENTS_MOST, segments

CALL = ("v1beta", "models", "gemini-2.5-flash:generateContent")


@pytest.mark.parametrize(
    "raw",
    [
        b"/v1beta/models/gemini-2.5-flash:generateContent",
        b"//v1beta/models/gemini-2.5-flash:generateContent",
        b"/v1beta//models///gemini-2.5-flash:generateContent",
        b"/v1beta/models/gemini-2.5-flash%3AgenerateContent",
        b"/v1beta/models/gemini-2.5-flash%3agenerateContent",
        b"/v1beta/models/gemini-2.5-flash:generateContent/",
    ],
)
def test_doubled_slashes_and_an_encoded_colon_mean_nothing_else(raw: bytes) -> None:
    assert segments(raw) == CALL


@pytest.mark.parametrize("prefix", ["/prefix/gw", "prefix/gw", "/prefix/gw/", "//prefix//gw"])
def test_a_prefix_is_taken_off_and_need_not_be_there(prefix: str) -> None:
    assert segments(b"/prefix/gw/v1beta/models/gemini-2.5-flash:generateContent", prefix) == CALL
    assert segments(b"//prefix//gw//v1beta/models/gemini-2.5-flash:generateContent", prefix) == CALL
    assert segments(b"/v1beta/models/gemini-2.5-flash:generateContent", prefix) == CALL
    assert segments(b"/prefix/gw", prefix) == ()


def test_half_a_prefix_is_none_and_it_is_taken_off_once() -> None:
    assert segments(b"/prefix/gwx/v1/models", "/prefix/gw") == ("prefix", "gwx", "v1", "models")
    assert segments(b"/prefix/v1/models", "/prefix/gw") == ("prefix", "v1", "models")
    assert segments(b"/gw/gw/v1/models", "/gw") == ("gw", "v1", "models")


def test_a_dollar_sign_may_be_encoded() -> None:
    assert segments(b"/%24discovery/rest") == segments(b"/$discovery/rest") == ("$discovery", "rest")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"*", id="asterisk"),
        pytest.param(b"v1/models", id="no slash at the beginning"),
        pytest.param(b"http://host/v1/models", id="a whole address"),
        pytest.param(b"/v1/models/..", id="dots at the end"),
        pytest.param(b"/v1/../v1/models", id="dots"),
        pytest.param(b"/v1/./models", id="a dot"),
        pytest.param(b"/v1/models/%2e%2e/files", id="encoded dots"),
        pytest.param(b"/v1/models/.%2E/files", id="a half encoded pair of dots"),
        pytest.param(b"/v1/models%2Fgemini:generateContent", id="an encoded slash"),
        pytest.param(b"/v1/models%2fgemini:generateContent", id="an encoded slash in lower case"),
        pytest.param(b"/v1/models/%5cx", id="an encoded backslash"),
        pytest.param(b"/v1/models/\\x", id="a backslash"),
        pytest.param(b"/v1/models/x%00", id="an encoded NUL"),
        pytest.param(b"/v1/models/x\x00", id="a NUL"),
        pytest.param(b"/v1/models/x%0d%0aHost:%20y", id="encoded line breaks"),
        pytest.param(b"/v1/models/x\r\n", id="line breaks"),
        pytest.param(b"/v1/models/x\n", id="a line break at the end"),
        pytest.param(b"/v1/models/x%253AgenerateContent", id="encoded twice"),
        pytest.param(b"/v1/models/x%3", id="half an encoding"),
        pytest.param(b"/v1/models/%67emini", id="an encoded letter"),
        pytest.param(b"/v1/models/x%3Fkey=y", id="an encoded question mark"),
        pytest.param(b"/v1/models/x?key=y:generateContent", id="a question mark"),
        pytest.param(b"/v1/models/x#y", id="a fragment"),
        pytest.param(b"/v1/models;a=b/x", id="a parameter of a segment"),
        pytest.param(b"/v1/models/x y", id="a space"),
        pytest.param(b"/v1/models/x+y", id="a plus"),
        pytest.param(b"/v1/models/x@001", id="an at sign"),
        pytest.param("/v1/models/장부".encode(), id="not ASCII"),
        pytest.param(b"/v1/models/\xc0\xae\xc0\xae", id="overlong UTF-8"),
        pytest.param(b"/" + b"a" * BYTES_MOST, id="too long"),
        pytest.param(b"/a" * (SEGMENTS_MOST + 1), id="too many segments"),
    ],
)
def test_what_is_odd_is_not_taken_apart(raw: bytes) -> None:
    assert segments(raw) is None
    assert segments(b"/gw" + raw, "/gw") is None or not raw.startswith(b"/")


def test_the_bounds_themselves_are_within() -> None:
    assert segments(b"/" + b"a" * (BYTES_MOST - 1)) == ("a" * (BYTES_MOST - 1),)
    assert segments(b"/a" * SEGMENTS_MOST) == ("a",) * SEGMENTS_MOST
    assert segments(b"/" * BYTES_MOST) == ()


def test_a_long_odd_path_is_refused_in_one_pass() -> None:
    assert segments(b"/" + b"a" * (BYTES_MOST - 2) + b"%") is None
