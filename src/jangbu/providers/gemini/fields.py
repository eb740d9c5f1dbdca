"""The fields of a request's body, one by one, without what is only data in it.

The real API reads camelCase and snake_case alike, so fields are given without their underscores and capitals. What a
caller's own functions are called with, and answer, is data and names nothing; neither do labels, the properties of a
schema, and the annotations of an earlier answer.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from jangbu.errors import InvalidInput

__all__ = ["Path", "fields", "folded", "models_named", "require_one_spelling"]

Path = tuple[str, ...]
"""A field, behind the fields that it stands in. The members of a list have the path of the list."""

_DATA = frozenset({"labels", "metadata", "partmetadata", "properties", "$defs", "defs", "definitions"})
_MODELS = frozenset({"model", "modelname"})
_AGENT = ("agent",)
_SCHEMAS = frozenset({"inputschema", "parametersjsonschema", "responsejsonschema", "responseschema", "schema"})
_CITED = "annotations"
_ARGUMENTS = frozenset(
    {
        ("functioncall", "args"),
        ("functionresponse", "response"),
        ("functionresponses", "response"),
        ("toolcall", "args"),
        ("toolresponse", "response"),
    }
)
_STEP_DATA = {"function_call": "arguments", "function_result": "result"}


def folded(name: str) -> str:
    """Give a field's name as all its spellings have it."""
    return name.replace("_", "").lower()


def fields(body: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Give each value of a body, as JSON has it, with its path; an object comes before its members."""
    waiting: list[tuple[Path, Any]] = [((), body)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, list):
            waiting.extend([(path, member) for member in reversed(value)])
            continue
        if path:
            yield path, value
        if isinstance(value, dict):
            waiting.extend(reversed(_members(path, value)))


def require_one_spelling(body: Mapping[str, Any]) -> None:
    """Raise InvalidInput where an object gives a field in two spellings: nobody knows which one the provider reads."""
    waiting: list[tuple[Path, Any]] = [((), body)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, list):
            waiting.extend((path, member) for member in value)
        elif isinstance(value, dict):
            if len({folded(name) for name in value}) != len(value):
                raise InvalidInput("the body gives a field in two spellings", hint="write each field once")
            waiting.extend(member for member in _members(path, value) if member[0][-1] not in _SCHEMAS)


def models_named(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Name each model and agent that a body asks for, without its prefixes. Raises InvalidInput for what is no text."""
    found = [value for path, value in fields(body) if value is not None and (path[-1] in _MODELS or path == _AGENT)]
    if any(not isinstance(value, str) for value in found):
        raise InvalidInput("the body's model is no text")
    return tuple(dict.fromkeys(value.rpartition("/")[2] for value in found))


def _members(path: Path, value: Mapping[str, Any]) -> list[tuple[Path, Any]]:
    data = _STEP_DATA.get(str(value.get("type")))
    found: list[tuple[Path, Any]] = []
    for given, member in value.items():
        name = folded(given)
        is_data = name == _CITED or (
            isinstance(member, dict) and (name in _DATA or name == data or (*path[-1:], name) in _ARGUMENTS)
        )
        if not is_data:
            found.append(((*path, name), member))
    return found
