"""How a route is described in the OpenAPI document."""

from typing import Any

from fastapi import FastAPI, Response
from pydantic import BaseModel, ConfigDict

from jangbu.api.rest.declared import Declared
from jangbu.api.rest.problems import MEDIA_TYPE

__all__ = ["Problem", "complete", "documented"]

_SECURITY = {"key": {"type": "http", "scheme": "bearer", "description": "One of Jangbu's keys, with a role."}}
_KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "What makes this write the same write when it is repeated.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 190, "pattern": "^[!-~]+$"},
    "example": "order-1",
}
# Clients that are generated from the document take what is binary for bytes, and fail where it comes as text.
_TEXT: dict[str, Any] = {"type": "string"}
_BYTES = {**_TEXT, "format": "binary"}
_WRONG = {
    400: "What was sent cannot be used; nothing was changed.",
    401: "No key was given, or one that opens nothing.",
    403: "The key has none of the roles, or may not do this.",
    404: "There is no such thing, or not for this key.",
    429: "A limit of the key is reached; Retry-After says when to try again.",
    503: "The ledger cannot be reached; try again.",
}
_WRONG_WRITES = {
    409: "The idempotency key was used for something else; the first result stands.",
}
_WRONG_BODIES = {413: "The body is too large."}


class Problem(BaseModel):
    """A problem as RFC 9457 writes it; ``code`` is stable."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:jangbu:error:not_found",
                    "title": "not found",
                    "status": 404,
                    "code": "not_found",
                    "detail": "user 'kim' has no account",
                    "request_id": "5f0c7c0e9d3b4b0f8a8e1f2d3c4b5a69",
                    "schema_version": 1,
                }
            ]
        }
    )
    type: str
    title: str
    status: int
    code: str
    detail: str
    hint: str | None = None
    errors: list[dict[str, str]] | None = None
    request_id: str | None
    schema_version: int


def documented(declared: Declared) -> dict[str, Any]:
    """Give what the framework is told of a route."""
    extra: dict[str, Any] = {
        "security": [{"key": []}],
        "x-jangbu-roles": sorted(role.value for role in declared.roles),
    }
    if declared.writes:
        extra["parameters"] = [_KEY_PARAMETER]
    summary, _, _ = (declared.endpoint.__doc__ or "").partition("\n")
    described = {"response_class": Response} if declared.answer is None else {}
    return {
        **described,
        "methods": [declared.method],
        "response_model": declared.answer,
        "status_code": declared.status,
        "operation_id": declared.name,
        "name": declared.name,
        "tags": [declared.tag],
        "summary": summary.rstrip("."),
        "responses": _responses(declared),
        "openapi_extra": extra,
    }


def complete(app: FastAPI) -> None:
    """Have the document say what all operations share: how a key is shown, and what a problem is."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        components = document.setdefault("components", {})
        components["securitySchemes"] = _SECURITY
        components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
        for name in ("HTTPValidationError", "ValidationError"):
            components["schemas"].pop(name, None)
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _responses(declared: Declared) -> dict[int | str, dict[str, Any]]:
    wrong = _WRONG | (_WRONG_WRITES if declared.writes else {}) | (_WRONG_BODIES if declared.takes_body else {})
    found: dict[int | str, dict[str, Any]] = {
        status: {"description": words, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
        for status, words in sorted(wrong.items())
    }
    if declared.media_types:
        kinds = {
            each: {"schema": _TEXT if "charset=" in each else _BYTES, "example": example}
            for each, example in declared.media_types.items()
        }
        found[declared.status] = {"description": "The file, which comes as it is written.", "content": kinds}
    for status in declared.also:
        found[status] = {"description": "The same, without anything new.", "model": declared.answer}
    return found
