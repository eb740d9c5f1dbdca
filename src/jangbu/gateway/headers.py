"""Which headers pass, and which way. Two closed lists: what is on neither stays here.

So no credential, cookie, forwarding or hop-by-hop header passes, nor what would change an answer behind the meter's
back: ``x-goog-fieldmask`` and ``range`` could leave the usage out, ``x-http-method-override`` makes another call of it,
``accept-encoding`` and a protobuf ``accept`` make it unreadable. The sender writes its own host, length, credentials
and ``accept-encoding: identity``.
"""

import re
from collections import Counter
from collections.abc import Iterable

from jangbu.errors import InvalidInput

__all__ = ["forwarded", "forwarded_with_upload", "require_sound", "returned"]

Headers = Iterable[tuple[bytes, bytes]]

# With the last two a client of Vertex AI asks for a tier, as others do in the body; the answer says which one it got
# (cloud.google.com/vertex-ai/generative-ai/docs/flex-paygo, and priority-paygo).
_TO_UPSTREAM = frozenset(
    {
        b"accept",
        b"user-agent",
        b"x-goog-api-client",
        b"x-server-timeout",
        b"x-vertex-ai-llm-request-type",
        b"x-vertex-ai-llm-shared-request-type",
    }
)
_OF_UPLOADS = frozenset(
    {
        b"content-type",
        b"x-goog-upload-command",
        b"x-goog-upload-content-type",
        b"x-goog-upload-file-name",
        b"x-goog-upload-header-content-length",
        b"x-goog-upload-header-content-type",
        b"x-goog-upload-offset",
        b"x-goog-upload-protocol",
    }
)
_JSON = (b"content-type", b"application/json")
# The address where an upload goes on is not among them: the gateway puts its own there. A body passes as the provider
# encoded it, so content-encoding has to tell; its length is for whoever sends it to say.
_TO_CLIENT = frozenset(
    {
        b"cache-control",
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-type",
        b"retry-after",
        b"server-timing",
        b"x-gemini-service-tier",
        b"x-goog-upload-chunk-granularity",
        b"x-goog-upload-size-received",
        b"x-goog-upload-status",
    }
)
_LISTS = frozenset({b"accept", b"user-agent", b"x-goog-api-client"})
_ONCE = ((_TO_UPSTREAM | _OF_UPLOADS) - _LISTS) | {
    b"authorization",
    b"content-length",
    b"host",
    b"transfer-encoding",
    b"x-goog-api-key",
    b"x-jangbu-service",
    b"x-jangbu-tags",
    b"x-jangbu-user",
}
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_TOKENS = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++(?:\n[!#$%&'*+.^_`|~0-9A-Za-z-]++)*+")
_BINARY = b"protobuf"


def require_sound(headers: Headers) -> None:
    """Let a request's headers through only if they mean one thing to everybody.

    Raises InvalidInput for control bytes (a line break makes two headers of one), for a name that is none, for a header
    that must come once and comes twice, and for two statements on where the body ends. A body behind an upgrade is
    such a case, too: whoever upgrades does not read it.
    """
    given = [(name.lower(), value) for name, value in headers]
    # All are looked at in one go: no name holds a line break, and no value loses anything by the tab between two.
    names, values = b"\n".join(name for name, _ in given), b"\t".join(value for _, value in given)
    if given and (
        names.count(b"\n") >= len(given) or _TOKENS.fullmatch(names) is None or _CONTROL.search(values) is not None
    ):
        raise InvalidInput("a header holds bytes that belong into none")
    seen = dict(given)
    if len(seen) < len(given):
        _require_once(given)
    length, coding = seen.get(b"content-length"), seen.get(b"transfer-encoding")
    if length is not None and (coding is not None or not length.isdigit()):
        raise InvalidInput("the headers contradict themselves on where the body ends")
    if coding is not None and coding.strip().lower() != b"chunked":
        raise InvalidInput("this transfer-encoding is not offered", hint="send chunked, or a content-length")
    if b"upgrade" in seen and (coding is not None or length not in (None, b"0")):
        raise InvalidInput("a request with a body cannot upgrade its connection", hint="speak HTTP/1.1")


def _require_once(given: list[tuple[bytes, bytes]]) -> None:
    counted = Counter(name for name, _ in given)
    for name, times in counted.items():
        if times > 1 and name in _ONCE:
            raise InvalidInput(f"the header {name.decode('ascii')} comes twice", hint="send it once")


def forwarded(headers: Headers, *, has_json: bool = False) -> tuple[tuple[bytes, bytes], ...]:
    """Give those of a client's headers that the provider sees. Let only sound ones come here.

    A body that was read as JSON goes on as JSON, whatever the client calls it: nobody shall read it in another way.
    """
    given = [(name.lower(), value) for name, value in headers]
    passed = [
        (name, value)
        for name, value in given
        if name in _TO_UPSTREAM and not (name == b"accept" and _BINARY in value.lower())
    ]
    return (*passed, _JSON) if has_json else tuple(passed)


def forwarded_with_upload(headers: Headers) -> tuple[tuple[bytes, bytes], ...]:
    """Give those that the provider sees of an upload, whose own protocol is spoken in headers."""
    given = [(name.lower(), value) for name, value in headers]
    return (*forwarded(given), *((name, value) for name, value in given if name in _OF_UPLOADS))


def returned(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Give those of the provider's headers that the client sees; one with control bytes in it is left out.

    It is left out and not an error, because the answer is paid for by now.
    """
    given = ((name.lower(), value) for name, value in headers)
    return [(name, value) for name, value in given if name in _TO_CLIENT and not _CONTROL.search(value)]
