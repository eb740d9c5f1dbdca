"""The published limits of models, as data: ``models.toml`` holds the figures, their source and their date."""

import tomllib
from functools import cache, lru_cache
from importlib import resources

from jangbu.providers.gemini.names import model_name

OUTPUT_MOST_UNKNOWN = 65_536
"""What a model that is not in the table may write: the largest limit that Google publishes for any."""
INPUT_MOST_UNKNOWN = 1_048_576
"""What a model or an agent that is not in the table may take in: the input limit of every current text model."""
PICTURE_ROOM_UNKNOWN = 4_096
"""The output into which a picture of a model that is not in the table fits, with what such models think and say."""
_MODELS_KNOWN_MAX = 1_024


def output_limit(model: str | None, *, unknown: int = OUTPUT_MOST_UNKNOWN) -> int:
    """Give the most tokens that a model may write in one candidate, thinking included; else ``unknown``."""
    limit = _longest("output", model)
    return unknown if limit is None else limit


def ends_by_itself(model: str | None) -> bool:
    """Tell whether it is published how much a model may write, so that it writes no more than ``output_limit``."""
    return _longest("output", model) is not None


def input_limit(model: str | None) -> int | None:
    """Give the most tokens that a model takes in, or None where it is not known."""
    return _longest("input", model)


def largest_input(model: str | None) -> int:
    """Give the most tokens that a model takes in; where it is not known, what any such may."""
    return input_limit(model) or INPUT_MOST_UNKNOWN


def picture_room(model: str | None) -> int:
    """Give how many tokens of output a model takes for a picture, with what it thinks and says beside it."""
    return _longest("picture", model) or PICTURE_ROOM_UNKNOWN


@lru_cache(_MODELS_KNOWN_MAX)
def _longest(table: str, model: str | None) -> int | None:
    name = model_name(model) or ""
    known = [prefix for prefix in _limits()[table] if name.startswith(prefix)]
    return _limits()[table][max(known, key=len)] if known else None


@cache
def _limits() -> dict[str, dict[str, int]]:
    data = resources.files(__package__).joinpath("models.toml").read_text(encoding="utf-8")
    return tomllib.loads(data)
