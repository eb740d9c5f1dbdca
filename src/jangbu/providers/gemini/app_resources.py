"""What bodies name that belongs to the app as a whole, and that Google would use in the app's name.

Objects in Cloud Storage, tables, corpora, data stores and stores of files are the app's: Google reads and writes them
for whoever may call, so that one user could reach another's. Fields are known by their names, and what is written like
a name of Google Cloud's (``gs://…``, ``projects/…``) is one wherever people do not write freely, so that a field that
is new or unknown opens nothing. Where in doubt, something is named.

An address on the web, also that of an MCP server, is none of the app's: Google visits it without the app's identity,
sends it what the caller's own conversation holds, and counts what comes of it as usage. The tool that uses a computer
reaches nothing of the app's either: the client does what it asks for.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from jangbu.domain.usage import Platform
from jangbu.providers.gemini.fields import Field, Path, folded
from jangbu.providers.gemini.references import decoded

__all__ = ["AppResource", "Use", "app_resources"]


class Use(StrEnum):
    """What a call would do with a resource."""

    READ = "read"
    """Read an object in Cloud Storage."""
    WRITE = "write"
    """Write objects there, or something that is not known."""
    SEARCH = "search"
    """Search it, or refer to it otherwise by its name."""
    MODEL = "model"
    """Call a model of Google's in the project that the name begins with."""
    NEVER = "never"
    """Use a field that is open to nobody."""


@dataclass(frozen=True, slots=True)
class AppResource:
    """Something of the app's. ``name`` is what the body writes; of what is open to nobody it is the field, and
    ``reason`` says why.
    """

    use: Use
    name: str
    reason: str = ""


_NEVER = {
    "webhookConfig": "it would send results past the meter; ask for them instead",
    "authConfig": "it would show the app's secrets and service accounts elsewhere",
    "apiAuth": "it would show the app's secrets elsewhere",
    "externalApi": "it is searched with the app's credentials",
    "credential": "credentials belong to the app and to no user",
    "enableBigqueryTool": "it reads the tables of the app's project",
}
_NEVER_IN_AGENTS = {
    "sessionId": "a session of CodeMender belongs to no user; leave it out and go on from previous_interaction_id",
    "findingId": "a finding of CodeMender belongs to no user; describe it, with its source_files, instead",
}
"""What is kept at Google between an agent's calls, under names that callers choose or read in what an agent says:
nobody can tell whose it is (google-genai 3.4.0, ``codemenderagentconfig.py``, ``findrequest.py``, ``fixrequest.py``).
"""
_AGENT = "agentconfig"
_NEVER_BY_FIELD = {folded(name): AppResource(Use.NEVER, name, reason) for name, reason in _NEVER.items()}
_NEVER_BY_AGENT = {folded(name): AppResource(Use.NEVER, name, reason) for name, reason in _NEVER_IN_AGENTS.items()}

_READ = frozenset({"fileuri", "uri", "uris", "url", "imageurl", "gcsuri", "source"})
_WRITTEN = frozenset({"storageuri", "outputgcsuri", "outputuri", "outputuriprefix"})
_OUTPUTS = frozenset({"gcsdestination", "generationoutputconfig", "outputconfig", "responseformat"})
"""What is read elsewhere is written in these."""
_OBJECTS = _WRITTEN | {"gcsuri"}
"""Fields that can hold nothing but an object."""
_SEARCHED = frozenset(
    {
        "datastore",
        "datastores",
        "engine",
        "filesearchstorename",
        "filesearchstorenames",
        "kmskeyname",
        "pubsubtopic",
        "ragcorpora",
        "ragcorpus",
    }
)
_MODELS = frozenset({"model", "modelname"})
_OWNED = frozenset({"cachedcontent"})
"""Fields whose names are somebody's, who is looked for elsewhere."""
_WORDS = frozenset(
    {
        "arguments",
        "code",
        "content",
        "description",
        "displayname",
        "enum",
        "input",
        "negativeprompt",
        "output",
        "path",
        "prompt",
        "queries",
        "query",
        "result",
        "stopsequences",
        "systeminstruction",
        "target",
        "text",
        "title",
    }
)
"""Fields in which people, models and functions write what they like."""

_HEAD = 500
"""As many characters as tell what a text names; media that come along are far longer."""
_OBJECT = re.compile(r"gs:", re.IGNORECASE)
_NAME = re.compile(r"bq:|/*(?:corpora|fileSearchStores|projects|tunedModels|voices)/", re.IGNORECASE)
_MODEL = re.compile(r"projects/[^/]+/locations/[^/]+/publishers/google/models/[^/]+")
_WEB = re.compile(r"https?:", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:https?:/*|/{2,})([^/?#]*)", re.IGNORECASE)
_AUTHORITY_LENGTH_MOST = 260
"""A name in the DNS has 253 characters at most, and a port follows."""


def app_resources(given: Iterable[Field], platform: Platform) -> tuple[AppResource, ...]:
    """Name what the fields of a body use of the app's, each once."""
    found = [_named(path, value, platform) for path, value in given if value]
    return tuple(dict.fromkeys(named for named in found if named is not None))


def _named(path: Path, value: object, platform: Platform) -> AppResource | None:
    field = path[-1]
    if field in _NEVER_BY_FIELD:
        return _NEVER_BY_FIELD[field]
    if field in _NEVER_BY_AGENT and _AGENT in path:
        return _NEVER_BY_AGENT[field]
    if not isinstance(value, str) or field in _WORDS or field in _OWNED:
        return None
    head = decoded(value.lstrip()[:_HEAD]).lstrip()
    is_vertex = platform is Platform.VERTEX
    if field in _OBJECTS or _OBJECT.match(head) or (is_vertex and _is_at_google_cloud(head)):
        is_read = field in _READ and _OUTPUTS.isdisjoint(path)
        return AppResource(Use.READ if is_read else Use.WRITE, value)
    if is_vertex and field in _MODELS and _MODEL.fullmatch(value):
        return AppResource(Use.MODEL, value)
    is_name = field in _SEARCHED or _NAME.match(head) or (_is_source(path) and not _WEB.match(head))
    return AppResource(Use.SEARCH, value) if is_name else None


def _is_at_google_cloud(head: str) -> bool:
    """Tell whether this is an address of Google Cloud's own, which it might read as the app instead of as anybody."""
    found = _ADDRESS.match(head)
    if found is None:
        return False
    host = unicodedata.normalize("NFKC", found[1].partition(":")[0]).lower().rstrip(".")
    is_hidden = "@" in found[1] or len(found[1]) > _AUTHORITY_LENGTH_MOST
    return is_hidden or host.endswith(("googleapis.com", ".cloud.google.com"))


def _is_source(path: Path) -> bool:
    """Tell whether this is what an environment is to be made with: a folder of objects, a skill, a repository."""
    return path[-2:] == ("sources", "source")
