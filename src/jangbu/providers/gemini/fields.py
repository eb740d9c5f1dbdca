"""The fields of a request's body, one by one, without what is only data in it.

The real API reads camelCase and snake_case alike, so fields are given without their underscores and capitals. What a
caller's own functions are called with, and answer, is data and names nothing, but for the content in what they answer
in an interaction; neither do labels, the properties of a schema, and the annotations of an earlier answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jangbu.errors import InvalidInput

__all__ = ["MODEL_FIELDS", "Field", "Path", "fields", "fields_written", "folded", "listed", "models_named"]

Path = tuple[str, ...]
"""A field, behind the fields that it stands in. The members of a list have the path of the list."""
Field = tuple[Path, Any]
"""A value as JSON has it, with the path of the field that holds it."""

_DATA = frozenset({"labels", "metadata", "partmetadata", "properties", "$defs", "defs", "definitions"})
MODEL_FIELDS = frozenset({"model", "modelname"})
"""Fields that name a model."""
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
_RESULT = "result"
_CONTENT = frozenset({"audio", "document", "image", "text", "video"})
"""The types of an interaction's content (google-genai 3.4.0, ``_gaos/types/interactions/content.py``)."""


def folded(name: str) -> str:
    """Give a field's name as all its spellings have it."""
    return name.replace("_", "").lower()


def listed(value: Any) -> list[Any]:
    """Give the members of a list; one member alone is read as a list of one, as the provider reads it."""
    return value if isinstance(value, list) else [] if value is None else [value]


def fields(body: Mapping[str, Any]) -> Sequence[Field]:
    """Give each value of a request's body; an object comes before its members.

    Raises InvalidInput where an object gives a field in two spellings: nobody knows which one the provider reads.
    """
    return _walked(body, one_spelling=True)


def fields_written(answer: Mapping[str, Any]) -> Sequence[Field]:
    """Give each value of what the provider itself wrote, whose spelling is its own affair."""
    return _walked(answer, one_spelling=False)


def models_named(found: Iterable[Field]) -> tuple[str, ...]:
    """Name each model and agent that a body asks for, without its prefixes. Raises InvalidInput for what is no text."""
    named = [value for path, value in found if (path[-1] in MODEL_FIELDS or path == _AGENT) and value is not None]
    if any(not isinstance(value, str) for value in named):
        raise InvalidInput("the body's model is no text")
    return tuple(dict.fromkeys(value.rpartition("/")[2] for value in named))


def _walked(body: Mapping[str, Any], *, one_spelling: bool) -> Sequence[Field]:
    """Walk through a body once: this is done for each call, before it is made."""
    found: list[Field] = []
    # The next one is last.
    waiting: list[Field] = [((), body)]
    while waiting:
        path, value = field = waiting.pop()
        if path:
            found.append(field)
        if not isinstance(value, dict):
            continue
        names = [folded(name) for name in value]
        if one_spelling and len(set(names)) != len(names) and _SCHEMAS.isdisjoint(path):
            raise InvalidInput("the body gives a field in two spellings", hint="write each field once")
        kind = value.get("type")
        data = _STEP_DATA.get(kind) if isinstance(kind, str) else None
        for name, member in zip(reversed(names), reversed(value.values()), strict=True):
            if isinstance(member, list):
                if name != _CITED:
                    waiting.extend(_each((*path, name), member))
            elif not (name == _CITED or (isinstance(member, dict) and _is_data(path, name, data))):
                waiting.append(((*path, name), member))
            elif name == data == _RESULT:
                waiting.extend(_content_in((*path, name), member))
    return found


def _each(path: Path, members: list[Any]) -> Sequence[Field]:
    """Give the members of a list, and of the lists within it, under the path of the list, the last one first."""
    if not any(isinstance(member, list) for member in members):
        return [(path, member) for member in reversed(members)]
    found, waiting = [], [*members]
    while waiting:
        member = waiting.pop()
        if isinstance(member, list):
            waiting.extend(member)
        else:
            found.append((path, member))
    return found


def _is_data(path: Path, name: str, data: str | None) -> bool:
    """Tell whether an object is only data, in which no field names anything."""
    return name in _DATA or name == data or (*path[-1:], name) in _ARGUMENTS


def _content_in(path: Path, result: dict[str, Any]) -> Sequence[Field]:
    """Give the content in the result of a function, the last first. All else in it is the function's own data.

    Content has a type, its own or its media's, and names where it lies. It may stand anywhere in a result (google-genai
    1.60 has it in the ``items`` of ``ResultItems``). Only where it lies is given: a function's own data may have any
    names, also those of a request's fields.
    """
    found: list[Field] = []
    waiting: list[tuple[Path, Any]] = [(path, result)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, list):
            waiting.extend((place, member) for member in reversed(value))
        elif isinstance(value, dict):
            members = [(folded(name), member) for name, member in value.items()]
            names = {name for name, _ in members}
            has_type = any(name == "type" and str(member).lower() in _CONTENT for name, member in members)
            if "uri" in names and (has_type or "mimetype" in names):
                found.append((place, {name: member for name, member in value.items() if folded(name) == "uri"}))
            else:
                waiting.extend(reversed([((*place, name), member) for name, member in members]))
    return found[::-1]
