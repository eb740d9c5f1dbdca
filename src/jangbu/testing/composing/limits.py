"""How much one request may ask for: as much as Google gives. Without limits one number fills the machine's memory."""

from jangbu.testing.composing.failure import Failure

__all__ = [
    "ANSWER_BYTES_MOST",
    "CANDIDATES_MOST",
    "DIMENSIONS_MOST",
    "EMBEDDINGS_MOST",
    "IMAGES_MOST",
    "INSTANCES_MOST",
    "number_asked",
    "require_at_most",
]

CANDIDATES_MOST = 8
IMAGES_MOST = 4
DIMENSIONS_MOST = 3072
EMBEDDINGS_MOST, INSTANCES_MOST = 100, 250
"""How many texts may be embedded at once: by the Gemini API, and by Vertex AI's predict."""
ANSWER_BYTES_MOST = 65_536 * 4
"""The models' output limit of 65,536 tokens, in the fake's bytes."""


def number_asked(name: str, given: object, *, most: int, usual: int = 1) -> int:
    """Give how many of something a request asks for. Raises Failure for less than 1 and for more than ``most``."""
    if not given:
        return usual
    if not isinstance(given, int | float | str):
        raise Failure(400, f"Invalid value at '{name}' (TYPE_INT32)")
    try:
        number = int(given)
    except (ValueError, OverflowError):
        raise Failure(400, f"Invalid value at '{name}' (TYPE_INT32)") from None
    if not 1 <= number <= most:
        supported = f"the supported range is from 1 (inclusive) to {most + 1} (exclusive)"
        raise Failure(
            400,
            f"Unable to submit request because it has a {name} value of {number} but {supported}. "
            "Update the value and try again.",
        )
    return number


def require_at_most(name: str, number: int, most: int) -> None:
    """Let a request through only if it holds at most so many requests. Raises Failure."""
    if number > most:
        raise Failure(400, f"{name}: at most {most} requests can be in one batch")
