"""The most tokens that a piece of media in a request can be, from its size alone.

Figures of ai.google.dev/gemini-api/docs/tokens, /media-resolution, /audio, /video-understanding and
/document-processing. Where size does not tell the length, the thinnest encoding in use is assumed, so that the bound
is high rather than low: it is held for the length of a call and never charged.
"""

IMAGE_TOKENS_MOST = 4_386
"""Images are scaled down to 3,072 x 3,072 at most: 16 tiles of 768 x 768 and an overview, 258 tokens each. Gemini 3's
highest media resolution gives 2,240."""

AUDIO_TOKENS_PER_SECOND = 32
AUDIO_TOKENS_MOST = 32 * 34_200
"""9.5 hours, the longest audio that a prompt may hold."""

VIDEO_FRAME_TOKENS_MOST = 280
VIDEO_SECOND_OVERHEAD = 43
"""Audio at 32 tokens and a time stamp, beside the frames."""

PAGE_TOKENS_MOST = 1_120
PAGES_MOST = 1_000

_PCM_BYTES_PER_SECOND = 8_000
_SPEECH_BYTES_PER_SECOND = 500
_VIDEO_BYTES_PER_SECOND = 2_000
_PAGE_BYTES_LEAST = 64
_PCM = ("audio/wav", "audio/x-wav", "audio/wave", "audio/pcm", "audio/l16")


def media_tokens_most(mime_type: str, size: int, *, frames_per_second: int = 1) -> int | None:
    """Bound inline media of ``size`` bytes. None for a type that no published figure covers."""
    kind = mime_type.partition(";")[0].strip().lower()
    match kind.partition("/")[0]:
        case "image":
            return IMAGE_TOKENS_MOST
        case "audio":
            thinnest = _PCM_BYTES_PER_SECOND if kind in _PCM else _SPEECH_BYTES_PER_SECOND
            return min(_seconds(size, thinnest) * AUDIO_TOKENS_PER_SECOND, AUDIO_TOKENS_MOST)
        case "video":
            per_second = VIDEO_FRAME_TOKENS_MOST * max(frames_per_second, 1) + VIDEO_SECOND_OVERHEAD
            return _seconds(size, _VIDEO_BYTES_PER_SECOND) * per_second
        case "text":
            return size
    if kind == "application/pdf":
        return min(size // _PAGE_BYTES_LEAST + 1, PAGES_MOST) * PAGE_TOKENS_MOST
    return size if kind in ("application/json", "application/xml", "application/x-javascript") else None


def _seconds(size: int, bytes_per_second: int) -> int:
    return size // bytes_per_second + 1
