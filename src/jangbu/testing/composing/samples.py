"""Values that fit a schema: arguments for function calls, and answers where JSON was asked for."""

from collections.abc import Mapping
from typing import Any

__all__ = ["sample"]

_PLAIN: dict[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "null": None}
DEPTH_MOST = 8
"""Schemas may refer to themselves; below this depth optional fields and items are left out."""


def sample(schema: Mapping[str, Any], definitions: Mapping[str, Any] | None = None, depth: int = 0) -> Any:
    """Give the plainest value that fits an OpenAPI or JSON schema; types may be written in either case."""
    definitions = definitions or schema.get("$defs") or schema.get("definitions") or {}
    if "$ref" in schema:
        return sample(definitions.get(str(schema["$ref"]).rsplit("/", 1)[-1], {}), definitions, depth + 1)
    for choice in ("anyOf", "oneOf", "any_of"):
        if schema.get(choice):
            return sample(schema[choice][0], definitions, depth + 1)
    for fixed in ("const", "enum"):
        if schema.get(fixed) is not None:
            return schema["const"] if fixed == "const" else schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    match str(kind[0] if isinstance(kind, list) else kind).lower():
        case "object":
            return _sample_object(schema, definitions, depth)
        case "array":
            return _sample_array(schema, definitions, depth)
        case name:
            return schema.get("minimum", _PLAIN.get(name, "sample"))


def _sample_object(schema: Mapping[str, Any], definitions: Mapping[str, Any], depth: int) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    names = properties if depth < DEPTH_MOST else schema.get("required", ())
    return {name: sample(properties.get(name, {}), definitions, depth + 1) for name in names}


def _sample_array(schema: Mapping[str, Any], definitions: Mapping[str, Any], depth: int) -> list[Any]:
    if depth >= DEPTH_MOST:
        return []
    item = schema.get("items") or {"type": "string"}
    least = int(schema.get("minItems") or schema.get("min_items") or 1)
    return [sample(item, definitions, depth + 1) for _ in range(least)]
