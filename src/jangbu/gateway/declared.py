"""The closed table of what the gateway offers: every path, what it does, how it is paid for and what a key must allow.

What is not in it leads nowhere. A refusal is in it where somebody is likely to ask, so that the answer can say why.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from jangbu.domain.keys import Scope
from jangbu.domain.usage import Platform, Surface

__all__ = ["DECLARED", "Action", "Billing", "Declared"]


class Action(StrEnum):
    """What a request does."""

    CALL = "call"
    CREATE = "create"
    LIST = "list"
    GET = "get"
    UPDATE = "update"
    DELETE = "delete"
    CANCEL = "cancel"
    DOWNLOAD = "download"


class Billing(StrEnum):
    """How a request is paid for."""

    METERED = "metered"
    """Its own answer reports the usage: hold, call, settle."""
    RECORDED = "recorded"
    """Its own answer reports it, but no tokens are spent: recorded without a hold."""
    STARTED = "started"
    """It starts work whose usage another answer reports."""
    RESULT = "result"
    """It shows work that was started earlier: recorded once, when the result is first seen."""
    FREE = "free"
    REFUSED = "refused"
    """Known and not offered; the route says why."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One line of the table.

    ``template`` is the path, with what varies in braces, and ``**`` for all beneath it. ``resource`` is the part of it
    that belongs to somebody. ``target`` is the path that the provider is asked for. The method ``*`` stands for any.
    """

    method: str
    template: str
    verb: str
    action: Action
    billing: Billing
    scope: Scope | None
    surface: Surface | None
    platform: Platform
    resource: str | None = None
    target: str = ""
    reason: str = ""


# method, path beneath the version, verb, action, billing, scope, surface
_MODELS = """
POST   models/{model}:{verb}           generateContent         call      metered   generate      generate_content
POST   models/{model}:{verb}           streamGenerateContent   call      metered   generate      stream_generate_content
POST   models/{model}:{verb}           countTokens             call      free      generate      count_tokens
POST   models/{model}:{verb}           embedContent            call      metered   embed         embed_content
POST   models/{model}:{verb}           batchEmbedContents      call      metered   embed         embed_content
POST   models/{model}:{verb}           predict                 call      metered   generate      predict
POST   models/{model}:{verb}           predictLongRunning      call      started   generate      predict_long_running
GET    models/{model}/operations/{id}  operations              get       result    generate      predict_long_running
"""
_CATALOGUE = """
GET    models                          models                  list      free      models        -
GET    models/{model}                  models                  get       free      models        -
"""
_CACHES = """
POST   cachedContents                  cachedContents          create    recorded  caches        cached_contents
GET    cachedContents                  cachedContents          list      free      caches        cached_contents
GET    cachedContents/{id}             cachedContents          get       free      caches        cached_contents
PATCH  cachedContents/{id}             cachedContents          update    free      caches        cached_contents
DELETE cachedContents/{id}             cachedContents          delete    free      caches        cached_contents
"""
# The answer to the cancellation of an interaction shows what it used until then.
_GEMINI = """
POST   models/{model}:{verb}           batchGenerateContent    create    started   batches       batch
POST   models/{model}:{verb}           asyncBatchEmbedContent  create    started   batches       batch
GET    batches                         batches                 list      free      batches       batch
GET    batches/{id}                    batches                 get       result    batches       batch
POST   batches/{id}:cancel             batches                 cancel    free      batches       batch
POST   batches/{id}:delete             batches                 delete    free      batches       batch
DELETE batches/{id}                    batches                 delete    free      batches       batch
GET    operations/{id}                 operations              get       result    generate      predict_long_running
GET    files                           files                   list      free      files         -
GET    files/{id}                      files                   get       free      files         -
DELETE files/{id}                      files                   delete    free      files         -
POST   interactions                    interactions            create    metered   interactions  interactions
GET    interactions/{id}               interactions            get       result    interactions  interactions
POST   interactions/{id}/cancel        interactions            cancel    result    interactions  interactions
DELETE interactions/{id}               interactions            delete    free      interactions  interactions
POST   openai/chat/completions         chat/completions        call      metered   openai        openai
POST   openai/embeddings               embeddings              call      metered   openai        openai
POST   openai/images/generations       images/generations      call      metered   openai        openai
GET    openai/models                   openai/models           list      free      openai        -
GET    openai/models/{model}           openai/models           get       free      openai        -
"""
_UPLOADS = """
POST   files                           upload                  create    free      files         -
PUT    files                           upload                  create    free      files         -
"""
# A file may be the result of a batch, whose answers are metered as it is downloaded. It is asked for where Google gives
# it (ai.google.dev/gemini-api/docs/batch-api): elsewhere it answers with a redirect, which is not followed.
_DOWNLOADS = """
GET    files/{id}:download             files                   download  result    files         batch
"""
_PUBLISHED = """
POST   models/{model}:{verb}           computeTokens           call      free      generate      -
POST   models/{model}:{verb}           fetchPredictOperation   get       result    generate      predict_long_running
"""
# The GET that a WebSocket begins with; the model is named in its first message.
_LIVE = """
GET    BidiGenerateContent             live                    call      metered   live          live
"""

_TUNED = "how tuned models and their training are metered is not known; call the model that they are made from"
_UNATTENDED = "it makes calls that nobody waits for and that no answer reports; make the calls one by one"
_STORES = "indexing and searching a store report no usage of their own; send the files with the request"
_SECRETS = "it hands out credentials with which Gemini could be called past the meter"
_ENVIRONMENTS = "what runs in an environment reports no usage"
_GEMINI_REFUSALS = {
    "tunedModels/**": _TUNED,
    "corpora/**": _STORES,
    "fileSearchStores/**": _STORES,
    "files:register": "registered files belong to the app and to no user; upload them",
    "agents/**": _UNATTENDED,
    "triggers/**": _UNATTENDED,
    "decisions/**": _UNATTENDED,
    "environments/**": _ENVIRONMENTS,
    "webhooks/**": "it would send results past the meter; ask for them instead",
    "voices/**": "voices belong to the app and to no user",
    "credentials/**": _SECRETS,
    "auth_tokens/**": _SECRETS,
    "openai/files/**": "upload by Gemini's own files instead",
    "openai/batches/**": "use models/{model}:batchGenerateContent instead",
}
_UPLOAD_REFUSALS = {"fileSearchStores/**": _STORES, "environments/**": _ENVIRONMENTS}
_LIVE_REFUSALS = {"BidiGenerateContentConstrained": _SECRETS, "BidiGenerateMusic": "music reports no usage"}
_PROJECT_REFUSALS = {
    "batchPredictionJobs/**": "its results go to a bucket, where nobody sees what they used; send the calls one by one",
    "endpoints/openapi/**": (
        "no answer of it is known, so how it reports usage is not either; use publishers/google/models instead"
    ),
    "endpoints/**": _TUNED,
    "tuningJobs/**": _TUNED,
}

_STUDIO = "{version}/"
_UPLOAD = "upload/{version}/"
_DOWNLOAD = "download/{version}/"
_GOOGLE_AI = "ws/google.ai.generativelanguage.{version}.GenerativeService."
_AI_PLATFORM = "ws/google.cloud.aiplatform.{version}.LlmBidiService/"
_PROJECT = "{version}/projects/{project}/locations/{location}/"
_PUBLISHERS = ("{version}/publishers/google/", f"{_PROJECT}publishers/google/")


def _offered(base: str, table: str, platform: Platform, *, asked_at: str = "") -> Iterator[Declared]:
    for line in filter(str.strip, table.splitlines()):
        method, path, verb, action, billing, scope, surface = line.split()
        path = path.replace("{verb}", verb)
        resource = path[: path.index("{id}") + len("{id}")] if "{id}" in path else None
        yield Declared(
            method,
            base + path,
            verb,
            Action(action),
            Billing(billing),
            Scope(scope),
            None if surface == "-" else Surface(surface),
            platform,
            resource,
            (asked_at or base) + path,
        )


def _refused(base: str, refusals: Mapping[str, str], platform: Platform) -> Iterator[Declared]:
    for path, reason in refusals.items():
        verb = path.removesuffix("/**")
        yield Declared("*", base + path, verb, Action.CALL, Billing.REFUSED, None, None, platform, reason=reason)


DECLARED: tuple[Declared, ...] = (
    *_offered(_STUDIO, _MODELS + _CATALOGUE + _CACHES + _GEMINI, Platform.GEMINI_API),
    *_offered(_UPLOAD, _UPLOADS, Platform.GEMINI_API),
    *_offered(_STUDIO, _DOWNLOADS, Platform.GEMINI_API, asked_at=_DOWNLOAD),
    *_offered(_DOWNLOAD, _DOWNLOADS, Platform.GEMINI_API),
    *_offered(_GOOGLE_AI, _LIVE, Platform.GEMINI_API),
    *_refused(_STUDIO, _GEMINI_REFUSALS, Platform.GEMINI_API),
    *_refused(_UPLOAD, _UPLOAD_REFUSALS, Platform.GEMINI_API),
    *_refused(_GOOGLE_AI, _LIVE_REFUSALS, Platform.GEMINI_API),
    *(each for base in _PUBLISHERS for each in _offered(base, _MODELS + _PUBLISHED, Platform.VERTEX)),
    *_offered(_PUBLISHERS[0], _CATALOGUE, Platform.VERTEX),
    *_offered(_PROJECT, _CACHES, Platform.VERTEX),
    *_offered(_AI_PLATFORM, _LIVE, Platform.VERTEX),
    *_refused(_PROJECT, _PROJECT_REFUSALS, Platform.VERTEX),
)
"""All that the gateway knows, each line once for all versions."""
