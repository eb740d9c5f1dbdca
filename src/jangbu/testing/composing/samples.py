"""Values that fit a schema: arguments for function calls, and answers where JSON was asked for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jangbu.testing.composing.failure import Failure
from jangbu.testing.composing.limits import ANSWER_BYTES_MOST

__all__ = ["sample"]

_PLAIN: dict[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "null": None}
DEPTH_MOST = 8
"""Schemas may refer to themselves; below this depth optional fields and items are left out."""


def sample(schema: Mapping[str, Any]) -> Any:
    """Give the plainest value that fits an OpenAPI or JSON schema; types may be written in either case.

    Raises Failure for a schema that only a value longer than any answer fits.
    """
    return _Sample().fit(schema, {}, 0)


@dataclass(slots=True)
class _Sample:
    """One value while it grows. ``room`` is how many bytes of JSON it may still take."""

    room: int = ANSWER_BYTES_MOST

    def fit(self, schema: Mapping[str, Any], definitions: Mapping[str, Any], depth: int) -> Any:
        definitions = definitions or schema.get("$defs") or schema.get("definitions") or {}
        if "$ref" in schema:
            return self.fit(definitions.get(str(schema["$ref"]).rsplit("/", 1)[-1], {}), definitions, depth + 1)
        for choice in ("anyOf", "oneOf", "any_of"):
            if schema.get(choice):
                return self.fit(schema[choice][0], definitions, depth + 1)
        for fixed in ("const", "enum"):
            if schema.get(fixed) is not None:
                return self._take(schema["const"] if fixed == "const" else schema["enum"][0])
        kind = schema.get("type", "object" if "properties" in schema else "string")
        match str(kind[0] if isinstance(kind, list) else kind).lower():
            case "object":
                return self._fit_object(schema, definitions, depth)
            case "array":
                return self._fit_array(schema, definitions, depth)
            case name:
                return self._take(schema.get("minimum", _PLAIN.get(name, "sample")))

    def _fit_object(self, schema: Mapping[str, Any], definitions: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties") or {}
        names = properties if depth < DEPTH_MOST else schema.get("required", ())
        return {self._take(name): self.fit(properties.get(name, {}), definitions, depth + 1) for name in names}

    def _fit_array(self, schema: Mapping[str, Any], definitions: Mapping[str, Any], depth: int) -> list[Any]:
        if depth >= DEPTH_MOST:
            return []
        item = schema.get("items") or {"type": "string"}
        least = max(0, int(schema.get("minItems") or schema.get("min_items") or 1))
        self._spend(least)
        return [self.fit(item, definitions, depth + 1) for _ in range(least)]

    def _take(self, value: Any) -> Any:
        self._spend(len(json.dumps(value)))
        return value

    def _spend(self, size: int) -> None:
        self.room -= size
        if self.room < 0:
            raise Failure(400, "The specified schema produces a constraint that has too many states for serving.")
