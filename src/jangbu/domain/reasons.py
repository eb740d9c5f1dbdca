"""The reasons that people give for what they correct, mute or resolve, and that stay in the history."""

__all__ = ["REASON_LENGTH_MAX", "is_reason"]

REASON_LENGTH_MAX = 500


def is_reason(text: str) -> bool:
    """Tell whether a text says something, is no longer than it may be, and can be kept."""
    return bool(text.strip()) and len(text) <= REASON_LENGTH_MAX and "\x00" not in text
