"""What bodies name that lives at the provider: files, caches, earlier interactions, decodes and sessions, environments.

Where a field can name nothing but what somebody owns, whatever it holds is given back, also what is no name at all:
nobody owns that, and the request goes nowhere.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from jangbu.providers.gemini.fields import Field, Path, fields_written

__all__ = ["continuation_name", "decoded", "files_made", "references", "session_name"]

_ADDRESS = re.compile(r"(?:https?|gs)://([^/?#\\@%\s:]+)(?::\d+)?(?:[/?#].*)?", re.IGNORECASE | re.DOTALL)
_FILE = re.compile(r"(?<![A-Za-z0-9_-])files/([^/:?#&=\s]+)")
_CACHE = re.compile(r"/?(?:projects/[^/]+/locations/[^/]+/)?(?:cachedContents/)?([^/:?#\s]+)")
_INTERACTION = re.compile(r"(?:interactions/)?([^/:?#\s]+)")
_ENVIRONMENT = re.compile(r"(?:environments/)?([^/:?#\s]+)")
_NEW_ENVIRONMENT = "remote"
"""What asks for an environment instead of naming one."""

_ONE_ALPHABET = str.maketrans("+/", "-_")

_NAME_SHOWN_MOST = 100
_DECODED_MOST = 4

Named = Callable[[str], Iterable[str]]


def references(given: Iterable[Field]) -> tuple[str, ...]:
    """Name what the fields of a body use, each once: ``files/…``, ``cachedContents/…``, ``interactions/…``,
    ``continuations/…``, ``environments/…`` or ``sessions/…``.

    An address elsewhere (a video, a page, a bucket) belongs to nobody here and is not among them.
    """
    found = [name for path, text in given if isinstance(text, str) for name in _named(path, text)]
    return tuple(dict.fromkeys(found))


def session_name(handle: str) -> str:
    """Name the Live session that a handle resumes. Who has the handle has the session, so the name does not tell it."""
    return _named_by_digest("sessions", handle)


def continuation_name(token: str) -> str:
    """Name the decode that a token goes on with. The name does not tell the token.

    A token is bytes in base64, whose alphabet and padding are the sender's choice: google-genai 3.4.0 reads either
    alphabet and writes the one for addresses (``_common.py``, ``encode_unserializable_types``).
    """
    return _named_by_digest("continuations", token.translate(_ONE_ALPHABET).rstrip("="))


def files_made(answer: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the files that the provider made for an answer: an operation's videos, what an interaction put out.

    Only what the provider itself writes is looked at, never what the model says.
    """
    steps = answer.get("steps")
    outputs = [
        step.get("content")
        for step in (steps if isinstance(steps, list) else ())
        if isinstance(step, Mapping) and step.get("type") == "model_output"
    ]
    written = {"response": answer.get("response"), "outputs": outputs}
    found = [
        name
        for path, text in fields_written(written)
        if isinstance(text, str) and path[-1] == "uri"
        for name in _address(text)
    ]
    return tuple(dict.fromkeys(name for name in found if _FILE.fullmatch(name)))


def _named(path: Path, text: str) -> Iterable[str]:
    find = _FIELDS.get(path[-1]) or _FIELDS_WITHIN.get(path[-2:])
    return find(text) if find is not None and text else ()


def _file(text: str) -> Iterable[str]:
    """Name the file in a field that holds an address elsewhere or a file."""
    if _is_elsewhere(text):
        return ()
    return _files_in(text) or (_whole(_FILE_ID, "files", text),)


def _address(text: str) -> Iterable[str]:
    """Name the file in a field that may hold any address."""
    return () if _is_elsewhere(text) or text.startswith("data:") else _files_in(text)


def _files_in(text: str) -> tuple[str, ...]:
    return tuple(f"files/{name}" for name in _FILE.findall(decoded(text)))


def _is_elsewhere(text: str) -> bool:
    """Tell whether this is an address, beyond doubt, of a host that does not keep the files of the API."""
    found = _ADDRESS.fullmatch(text.strip())
    if found is None:
        return False
    host = unicodedata.normalize("NFKC", found.group(1)).lower().rstrip(".")
    return not (host.endswith("googleapis.com") and "generativelanguage" in host)


def decoded(text: str) -> str:
    """Give an address without escapes, however often they were escaped again, and with slashes that lean one way."""
    for _ in range(_DECODED_MOST):
        plain = unquote(text)
        if plain == text:
            break
        text = plain
    return text.replace("\\", "/")


def _cache(text: str) -> Iterable[str]:
    return (_whole(_CACHE, "cachedContents", text),)


def _interaction(text: str) -> Iterable[str]:
    return (_whole(_INTERACTION, "interactions", text),)


def _session(text: str) -> Iterable[str]:
    return (session_name(text),)


def _continuation(text: str) -> Iterable[str]:
    return (continuation_name(text),)


def _named_by_digest(kind: str, secret: str) -> str:
    return f"{kind}/{hashlib.sha256(secret.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _environment(text: str) -> Iterable[str]:
    return (_whole(_ENVIRONMENT, "environments", text),)


def _environment_used(text: str) -> Iterable[str]:
    return () if text == _NEW_ENVIRONMENT else _environment(text)


def _whole(pattern: re.Pattern[str], kind: str, text: str) -> str:
    """Give the name that the whole text writes, else a name that is nobody's."""
    found = pattern.fullmatch(text)
    return f"{kind}/{found.group(1)}" if found else f"{text[:_NAME_SHOWN_MOST]}…"


_FILE_ID = re.compile(r"([A-Za-z0-9][A-Za-z0-9._~-]*)")
_FIELDS: Mapping[str, Named] = {
    "fileuri": _file,
    "fileid": _file,
    "fileids": _file,
    "uri": _address,
    "url": _address,
    "imageurl": _address,
    "gcsuri": _address,
    "cachedcontent": _cache,
    "previousinteractionid": _interaction,
    "continuationtoken": _continuation,
    "environmentid": _environment,
}
_FIELDS_WITHIN: Mapping[Path, Named] = {
    # Elsewhere a file's name is but the title of a file whose bytes come along.
    ("inputconfig", "filename"): _file,
    ("sessionresumption", "handle"): _session,
    ("environment",): _environment_used,
}
