"""Uploads in one multipart request: the parts of it, where there is but one way to read the request."""

import re

__all__ = ["about_part", "file_part"]

_TYPE = re.compile(rb'multipart/related;\s*boundary=("?)([A-Za-z0-9\'()+_,./:=?-]{1,70})\1', re.IGNORECASE)
# A part that is encoded once more is none of these: what is written in it is not what the provider keeps.
_HEAD = re.compile(
    rb"(?:content-type:[^\r\n]*\r\n|mime-version: ?1\.0\r\n|content-transfer-encoding: ?binary\r\n)+", re.IGNORECASE
)
_DELIMITERS = 3


def about_part(content_type: bytes, body: bytes) -> bytes | None:
    """Give what describes the file: the first part, which every reader finds at the same place; None where there is
    none there.
    """
    found = _TYPE.fullmatch(content_type.strip())
    if found is None or not body.startswith(b"--" + found[2] + b"\r\n"):
        return None
    delimiter = b"--" + found[2]
    head_end = body.find(b"\r\n\r\n", len(delimiter))
    end = body.find(b"\r\n" + delimiter, len(delimiter))
    return body[head_end + 4 : end] if 0 <= head_end < end else None


def file_part(content_type: bytes, body: bytes) -> memoryview | None:
    """Give the bytes of the file, which stands behind a part about it; None for a body that is written otherwise."""
    found = _TYPE.fullmatch(content_type.strip())
    if found is None:
        return None
    delimiter = b"--" + found[2]
    if body.count(delimiter) != _DELIMITERS or not body.startswith(delimiter + b"\r\n"):
        return None
    between = body.find(b"\r\n" + delimiter + b"\r\n")
    end = body.rfind(b"\r\n" + delimiter + b"--")
    begin = between + len(delimiter) + 4
    head_end = body.find(b"\r\n\r\n", begin)
    if between < 0 or not begin <= head_end < end or body[end + len(delimiter) + 4 :] not in (b"", b"\r\n"):
        return None
    if _HEAD.fullmatch(body, begin, head_end + 2) is None:
        return None
    return memoryview(body)[head_end + 4 : end]
