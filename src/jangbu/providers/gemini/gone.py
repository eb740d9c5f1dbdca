"""How Google says that it has a thing no more: by 404, and of some things by a 403 in words of their own.

Any other 403 is of the key, or of its project, and tells nothing of the thing.
"""

__all__ = ["NOT_FOUND", "cache_is_gone", "file_is_gone"]

NOT_FOUND = 404
_FORBIDDEN = 403


def cache_is_gone(status: int, message: str) -> bool:
    """Tell it of a cache: the Gemini API answers 403, "CachedContent not found (or permission denied)", Vertex 404."""
    said = message.lower()
    return status == NOT_FOUND or (status == _FORBIDDEN and "cachedcontent" in said and "not found" in said)


def file_is_gone(status: int, message: str) -> bool:
    """Tell it of a file: the Gemini API answers 403, "You do not have permission to access the File … or it may not
    exist" (github.com/google-gemini/deprecated-generative-ai-js/issues/236).
    """
    said = message.lower()
    return status == NOT_FOUND or (status == _FORBIDDEN and "file" in said and "may not exist" in said)
