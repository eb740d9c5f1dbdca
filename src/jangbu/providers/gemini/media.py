"""The most tokens that a piece of media in a request can be, as far as its type and size tell.

The size of what is compressed does not tell its length. An hour of a black film is 50 KB of MP4, an hour of silence 50
KB of FLAC, and a PDF of 9 KB may have 1,000 pages, because its object streams are compressed and its pages may share
all that they show. Google counts a film and what is heard by the second and a document by the page, so such media have
no bound here: the provider alone can count them, as what is named by its address.
"""

__all__ = ["AUDIO_TOKENS_PER_SECOND", "IMAGE_TOKENS_MOST", "media_tokens_most"]

IMAGE_TOKENS_MOST = 4_386
"""Images are scaled down to 3,072 x 3,072 at most: 16 tiles of 768 x 768 and an overview, 258 tokens each
(ai.google.dev/gemini-api/docs/tokens). Gemini 3's highest media resolution gives 2,240 (/media-resolution)."""

AUDIO_TOKENS_PER_SECOND = 32
"""ai.google.dev/gemini-api/docs/audio."""

_SEVERAL_IMAGES = frozenset({"image/gif", "image/tiff", "image/apng", "image/avif"})
"""No published figure says how many of the images in such a file are counted."""
_TEXTS = frozenset({"application/json", "application/xml", "application/x-javascript"})


def media_tokens_most(mime_type: str, size: int) -> int | None:
    """Bound media of ``size`` bytes by what they are. None where their size does not bound them."""
    kind = mime_type.partition(";")[0].strip().lower()
    family = kind.partition("/")[0]
    if family == "image" and kind not in _SEVERAL_IMAGES:
        return IMAGE_TOKENS_MOST
    return size if family == "text" or kind in _TEXTS else None
