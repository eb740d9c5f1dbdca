"""Where settings are read from, and what is said where they cannot be."""

import difflib
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jangbu.errors import InvalidSettings

__all__ = ["OWN_VARIABLES", "PREFIX", "file_values", "is_there", "names", "readable", "require_no_typo", "variable_of"]

PREFIX = "JANGBU_"
OWN_VARIABLES = {"gemini_api_key": "GEMINI_API_KEY"}
"""Settings that are read from a variable which other programs know, too."""
_FILE_VARIABLE = "JANGBU_CONFIG"
_DEFAULT_FILE = "jangbu.toml"
_NEAR = 0.8
"""From where on a name that nobody knows is taken for a mistyped one: others may be anybody's."""


def file_values() -> dict[str, Any]:
    """Give what the settings file says, or nothing where there is none. Editors of Windows write a mark before the
    text. Raises InvalidSettings.
    """
    file = _settings_file()
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text("utf-8-sig"))
    except UnicodeDecodeError:
        raise InvalidSettings(f"the settings file {file} is no UTF-8 text", hint="save it as UTF-8") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidSettings(f"the settings file {file} cannot be read: {reason}") from None


def _settings_file() -> Path | None:
    named = os.environ.get(_FILE_VARIABLE)
    if named is None:
        return Path(_DEFAULT_FILE) if Path(_DEFAULT_FILE).is_file() else None
    if not named.strip():
        raise InvalidSettings(f"{_FILE_VARIABLE} names nothing", hint="name a TOML file, or unset it")
    if not is_there(Path(named)):
        raise InvalidSettings(f"there is no settings file {named[:200]}", hint=f"{_FILE_VARIABLE} names it")
    return Path(named)


def is_there(path: Path) -> bool:
    """Tell whether there is something to read under a name; under one that no file can have there is nothing."""
    try:
        return path.exists() and not path.is_dir()
    except OSError:
        return False


def require_no_typo(settings: Iterable[str]) -> None:
    """Refuse a variable that is named nearly as a setting is: it would do nothing, without a word.

    Others are left alone: containers are given variables such as JANGBU_PORT, and apps have their own.
    """
    variables = {name.upper(): variable_of(name) for name in settings}
    known = {*variables.values(), _FILE_VARIABLE}
    for variable in map(str.upper, os.environ):
        if variable.startswith(PREFIX) and variable not in known:
            near = difflib.get_close_matches(variable.removeprefix(PREFIX), variables, 1, _NEAR)
            if near:
                raise InvalidSettings(f"there is no setting {variable[:60]}", hint=f"set {variables[near[0]]} instead")


def variable_of(name: str) -> str:
    """Give the environment variable of a setting."""
    return OWN_VARIABLES.get(name, PREFIX + name.upper())


def names(name: str) -> set[str]:
    """Give the names under which a source may hold a setting."""
    return {name, OWN_VARIABLES.get(name, name), OWN_VARIABLES.get(name, name).lower()}


def readable(error: ValidationError) -> InvalidSettings:
    """Say the first thing that is wrong in plain words; what may be a secret is not repeated."""
    first = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    bounds = first.get("ctx", {})
    match first["type"]:
        case "value_error":
            why = str(bounds["error"])
        case "int_parsing" | "int_type" | "int_from_float" | "int_parsing_size":
            why = f"{str(first['input'])[:40]!r} is no whole number"
        case "decimal_parsing" | "decimal_type" | "decimal_max_places" | "finite_number":
            why = f"{str(first['input'])[:40]!r} is no number, or has too many decimals"
        case "bool_parsing" | "bool_type":
            why = f"{str(first['input'])[:40]!r} is neither true nor false"
        case "greater_than_equal":
            why = f"{str(first['input'])[:40]} is less than {bounds['ge']:,}"
        case "greater_than":
            why = f"{str(first['input'])[:40]} is not more than {bounds['gt']:,}"
        case "less_than_equal":
            why = f"{str(first['input'])[:40]} is more than {bounds['le']:,}"
        case "string_too_short":
            why = "names nothing"
        case "string_too_long":
            why = f"is longer than {bounds['max_length']:,} characters"
        case "literal_error":
            why = f"{str(first['input'])[:40]!r} is none of {bounds['expected']}"
        case "extra_forbidden":
            return InvalidSettings(f"there is no setting {name[:60]!r}", hint="see `jangbu config show`")
        case _:
            why = "is no text"
    return InvalidSettings(f"setting {name}: {why}", hint=f"{variable_of(name)} or the settings file sets it")
