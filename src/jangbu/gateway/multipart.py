"""Uploads in one multipart request: the file in it, where there is but one way to read the request; and what
describes it, which every reader finds at one place.
"""

import re

__all__ = ["about_part", "file_part"]

_TYPE = re.compile(rb'multipart/related;\s*boundary=("?)([A-Za-z0-9\'()+_,./:=?-]{1,70})\1', re.IGNORECASE)
# A part that is encoded once more is none of these: what is written in it is not what the provider keeps.
_HEAD = re.compile(
    rb"(?:content-type:[^\r\n]*\r\n|mime-version: ?1\.0\r\n|content-transfer-encoding: ?binary\r\n)+", re.IGNORECASE
)
_DELIMITERS = 3
_BOUNDARY = re.compile(rb'boundary="?([^";,\s]{1,70})', re.IGNORECASE)
_BEGINNING = rb"--%b(\r?\n)(?:[^\r\n]+\1)*\1"


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


def about_part(content_type: bytes, body: bytes) -> bytes | None:
    """Give what describes the file: the first part, at the beginning of the body. None for a body that is written
    otherwise, or that has delimiters for readers of two kinds of lines.
    """
    boundaries = _BOUNDARY.findall(content_type)
    found = re.match(_BEGINNING % re.escape(boundaries[0]), body) if len(boundaries) == 1 else None
    if found is None:
        return None
    delimiter = b"\n--" + boundaries[0]
    end = body.find(delimiter, found.end())
    if end < 0 or (found[1] == b"\n" and b"\r" + delimiter in body):
        return None
    return body[found.end() : end]
