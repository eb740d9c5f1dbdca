"""What a request's body names that lives at the provider: files and caches."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["references"]

_FILE = re.compile(r"(?:^|/)(files/[A-Za-z0-9][A-Za-z0-9._~-]*)(?:$|[:?/#])")
_CACHE = re.compile(r"(?:^|/)(cachedContents/[A-Za-z0-9][A-Za-z0-9._~-]*)$")
_FILE_NAMES = frozenset({"fileUri", "file_uri", "fileName", "file_name", "uri", "file_id", "fileId"})
_CACHE_NAMES = frozenset({"cachedContent", "cached_content"})
_EARLIER = "previous_interaction_id"
_DEPTH_MOST = 64


def references(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the files, caches and earlier interactions that a body uses (``files/…``), each once.

    An address elsewhere (a video, a page, a bucket) belongs to nobody here and is not among them.
    """
    return tuple(dict.fromkeys(_walk(body, 0)))


def _walk(value: Any, depth: int) -> Iterator[str]:
    if depth > _DEPTH_MOST:
        return
    if isinstance(value, Mapping):
        for name, member in value.items():
            if isinstance(member, str):
                yield from _named(name, member)
            else:
                yield from _walk(member, depth + 1)
    elif isinstance(value, list):
        for member in value:
            yield from _walk(member, depth + 1)


def _named(name: str, text: str) -> Iterator[str]:
    pattern = _FILE if name in _FILE_NAMES else _CACHE if name in _CACHE_NAMES else None
    if pattern is not None and (found := pattern.search(text)) is not None:
        yield found.group(1)
    elif name == _EARLIER and text:
        yield f"interactions/{text.rpartition('/')[2]}"
