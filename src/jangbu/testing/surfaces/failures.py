"""Errors in Google's shape, and the answers that are no answers."""

from typing import Any

from jangbu.testing.behaviours import Recorded
from jangbu.testing.surfaces.exchange import JSON, Chunk, Exchange, Reply, encode
from jangbu.testing.surfaces.reading import last_usage

__all__ = ["error_object", "error_reply", "garbage_reply", "recorded_reply"]

_STATUSES = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
    403: ("PERMISSION_DENIED", "The caller does not have permission."),
    404: ("NOT_FOUND", "Requested entity was not found."),
    409: ("ABORTED", "The operation was aborted."),
    429: ("RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details."),
    499: ("CANCELLED", "The operation was cancelled."),
    500: ("INTERNAL", "An internal error has occurred. Please retry."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
}
_RPC = "type.googleapis.com/google.rpc."


def error_object(status: int, *, message: str = "", retry_after: int = 1, reason: str = "") -> dict[str, Any]:
    """Give Google's error object; 429 carries a RetryInfo, a reason an ErrorInfo."""
    name, usual = _STATUSES.get(status, ("UNKNOWN", "An unknown error has occurred."))
    error: dict[str, Any] = {"code": status, "message": message or usual, "status": name}
    if status == 429:
        error["details"] = [{"@type": f"{_RPC}RetryInfo", "retryDelay": f"{retry_after}s"}]
    if reason:
        domain = "googleapis.com"
        error["details"] = [{"@type": f"{_RPC}ErrorInfo", "reason": reason, "domain": domain}]
    return {"error": error}


def error_reply(exchange: Exchange, status: int, *, message: str = "", reason: str = "") -> Reply:
    """Reply with an error: as a list of one where Google answers so (array streams, the OpenAI-compatible endpoint)."""
    error = error_object(status, message=message, retry_after=exchange.behaviour.retry_after, reason=reason)
    surface = exchange.route.surface
    in_list = surface.startswith("openai") or (
        surface == "stream_generate_content" and exchange.request.query.get("alt") != "sse"
    )
    return Reply((Chunk(encode([error] if in_list else error)),), status)


def garbage_reply(kind: str) -> Reply:
    """Reply 200 with what is no JSON: a page of HTML, or a JSON that breaks off."""
    if kind == "html":
        page = b"<!DOCTYPE html><html><title>Error 502 (Server Error)</title><p>That is all we know.</html>"
        return Reply((Chunk(page),), content_type="text/html; charset=UTF-8")
    return Reply((Chunk(b'{"candidates":[{"content":{"parts":[{"text":"\xff\xfe'),), content_type=JSON)


def recorded_reply(recorded: Recorded) -> Reply:
    """Serve a recorded answer byte for byte, an event stream event by event."""
    streamed = recorded.content_type.startswith("text/event-stream")
    pieces = _events(recorded.body) if streamed else [recorded.body]
    chunks: list[Chunk] = []
    usage = None
    for piece in pieces:
        usage = last_usage(piece) or usage
        chunks.append(Chunk(piece, usage))
    counted = chunks[-1].usage if chunks else None
    return Reply(tuple(chunks), recorded.status, recorded.content_type, streamed=streamed, counted=counted)


def _events(body: bytes) -> list[bytes]:
    end = b"\r\n\r\n" if b"\r\n\r\n" in body else b"\n\n"
    events = body.split(end)
    return [event + end for event in events[:-1]] + ([events[-1]] if events[-1] else [])
