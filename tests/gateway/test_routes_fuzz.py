"""Whatever paths are made up, none reaches what is not declared."""

import random
import re

from hypothesis import given
from hypothesis import strategies as st

from jangbu.gateway.paths import segments
from jangbu.gateway.routes import DECLARED, Billing, find
from tests.gateway.test_routes import GEMINI, GOOGLE_AI, IN_PROJECT, PUBLISHED, VERTEX

_V = r"(?:v1|v1beta|v1alpha)"
_M = r"models/[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_I = r"[A-Za-z0-9][A-Za-z0-9._~-]{0,199}"
_VERBS = (
    r"(?:generateContent|streamGenerateContent|countTokens|embedContent|batchEmbedContents|predict|predictLongRunning)"
)
_OWN = r"(?:batchGenerateContent|asyncBatchEmbedContent)"
_GEMINI_PATHS = rf"""/{_V}/(?:
    models | {_M} | {_M}:{_VERBS} | {_M}:{_OWN} | {_M}/operations/{_I} | operations/{_I}
  | cachedContents(?:/{_I})? | files(?:/{_I})? | batches(?:/{_I}(?::cancel|:delete)?)?
  | interactions(?:/{_I}(?:/cancel)?)?
  | openai/(?:chat/completions|embeddings|images/generations|models|{_M})
)"""
_PUBLISHED = rf"publishers/google/(?:{_M}:{_VERBS}|{_M}:(?:computeTokens|fetchPredictOperation)|{_M}/operations/{_I})"
_VERTEX_PATHS = rf"""/(?:v1|v1beta1|v1beta|v1alpha)/(?:
    (?:projects/{_I}/locations/{_I}/)?{_PUBLISHED} | publishers/google/(?:models|{_M})
  | projects/{_I}/locations/{_I}/cachedContents(?:/{_I})?
)"""
_OTHERS = rf"""/upload/{_V}/files | /download/{_V}/files/{_I}:download
  | /ws/google\.ai\.generativelanguage\.{_V}\.GenerativeService\.BidiGenerateContent
  | /ws/google\.cloud\.aiplatform\.(?:v1|v1beta1|v1beta|v1alpha)\.LlmBidiService/BidiGenerateContent"""
TARGET = re.compile(rf"(?:{_GEMINI_PATHS} | {_VERTEX_PATHS} | {_OTHERS})", re.VERBOSE | re.ASCII)
SEEDS: list[tuple[str, bytes]] = [
    *((case[0], f"/{version}/{case[1]}".encode()) for case in GEMINI for version in ("v1", "v1beta", "v1alpha", "")),
    *((case[0], f"/v1/{VERTEX}/publishers/google/{case[1]}".encode()) for case in PUBLISHED),
    *((case[0], f"/v1beta1/publishers/google/{case[1]}".encode()) for case in PUBLISHED),
    *((case[0], f"/v1/{VERTEX}/{case[1]}".encode()) for case in IN_PROJECT),
    ("POST", b"/upload/v1beta/files"),
    ("PUT", b"/upload/files"),
    ("GET", b"/v1beta/files/abc:download"),
    ("GET", b"/download/v1beta/files/abc:download"),
    ("GET", f"/ws/{GOOGLE_AI}.v1beta.GenerativeService.BidiGenerateContent".encode()),
    ("GET", b"/ws/google.cloud.aiplatform.v1.LlmBidiService/BidiGenerateContent"),
    ("POST", b"/v1beta/tunedModels/x:generateContent"),
    ("POST", b"/v1alpha/auth_tokens"),
    ("POST", f"/v1/{VERTEX}/endpoints/openapi/chat/completions".encode()),
]
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "get", "*", "")
PIECES = [
    *(b"..", b".", b"%2e%2e", b"%2f", b"%2F", b"%5c", b"%00", b"%252e", b"%3A", b"%24", b"%0d%0a", b"\r\n", b"\n"),
    *(b"/", b"//", b"/../", b"/./", b"\\", b";", b":", b"@", b"#", b"?", b"?key=x", b"&key=x", b"*", b"**", b"{id}"),
    *(b"\x00", b"\xff", b"\xc0\xaf", b"\xef\xbc\x8f", b" ", b"\t", b"~", b"$", b"v1", b"/v1/", b"models/", b"files/x"),
    *(b":generateContent", b":streamGenerateContent", b":predict", b"/operations/", b"projects/p/locations/l/"),
    *(b"upload/", b"download/", b"openai/"),
    *(b"http://evil.example/", b"a" * 130, b"a" * 210, b"x/" * 16, b"\xea\xb3\x84"),
]


def _mutated(chance: random.Random, path: bytes) -> bytes:
    for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3))):
        at, to = sorted((chance.randint(0, len(path)), chance.randint(0, len(path))))
        match chance.randrange(8):
            case 0 | 1:
                path = path[:at] + chance.choice(PIECES) + path[at:]
            case 2:
                path = path[:at] + bytes((chance.randrange(256),)) + path[at:]
            case 3:
                path = path[:at] + chance.choice(PIECES) + path[at + 1 :]
            case 4:
                path = path[:at] + path[to:]
            case 5:
                path = path[:at] + b"".join(b"%%%02x" % byte for byte in path[at : at + 2]) + path[at + 2 :]
            case 6:
                path = path[:at] + path[at:to].swapcase() + path[to:]
            case 7:
                _, other = chance.choice(SEEDS)
                path = path[:at] + other[chance.randrange(len(other)) :]
    return path


def test_a_hundred_thousand_paths_reach_nothing_but_what_is_declared() -> None:
    chance = random.Random(20_261_103)
    reached = refused = nowhere = 0
    for _ in range(100_000):
        method, path = chance.choice(SEEDS)
        raw = _mutated(chance, path)
        if chance.random() < 0.2:
            method = chance.choice(METHODS)
        found = segments(raw, chance.choice(("", "", "/v1", "/gw")))
        route = None if found is None else find(method, found)
        if route is None:
            nowhere += 1
        elif route.billing is Billing.REFUSED:
            refused += 1
            assert route.target == ""
        else:
            reached += 1
            assert TARGET.fullmatch(route.target), (raw, route.target)
            assert route.model is None or f"models/{route.model}" in route.target, (raw, route)
            assert route.resource is None or route.resource in route.target, (raw, route)
    # Were it only rubbish that is refused, or only what is valid that is tried, nothing would have been proven.
    assert reached > 10_000
    assert refused > 100
    assert nowhere > 40_000


WORDS = sorted(
    {word for line in DECLARED for word in re.split(r"[/:]", line.template) if "{" not in word} | {"v1", "x"}
)


@given(
    st.sampled_from(METHODS),
    st.lists(
        st.one_of(
            st.sampled_from(WORDS),
            st.text(max_size=12),
            st.tuples(st.text(max_size=4), st.sampled_from(WORDS)).map(":".join),
        ),
        max_size=12,
    ),
)
def test_no_segments_whatever_reach_anything_else(method: str, given_segments: list[str]) -> None:
    route = find(method, tuple(given_segments))
    assert route is None or route.target == "" or TARGET.fullmatch(route.target)
