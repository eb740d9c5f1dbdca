"""Cached contents and files: what is put away first and named in later requests."""

import json
from datetime import datetime, timedelta
from typing import Any

from jangbu.testing.composing.counting import count_prompt, field
from jangbu.testing.composing.failure import Failure
from jangbu.testing.surfaces.exchange import Chunk, Exchange, Reply, json_reply
from jangbu.testing.surfaces.resources import Resources, Upload, found, page

__all__ = [
    "create_cache",
    "delete_cache",
    "delete_file",
    "download_file",
    "keep_file",
    "list_caches",
    "list_files",
    "show_cache",
    "show_file",
    "update_cache",
    "upload_file",
]

CACHE_LIFE = timedelta(hours=1)
_DOWNLOADS = "/download"


def create_cache(exchange: Exchange, resources: Resources) -> Reply:
    """Store contents: the answer tells how many tokens are kept, and until when."""
    parent = exchange.route.name.rpartition("cachedContents")[0]
    name = f"{parent}{exchange.ids.new('cachedContents/')}"
    tokens = count_prompt(exchange.body)
    usage = {"totalTokenCount": tokens.total()}
    resources.cache_tokens[name] = tokens
    resources.caches[name] = {
        "name": name,
        "model": field(exchange.body, "model"),
        "displayName": field(exchange.body, "displayName") or "",
        "createTime": exchange.moment,
        "updateTime": exchange.moment,
        "expireTime": _expiry(exchange),
        "usageMetadata": usage,
    }
    return json_reply(resources.caches[name], usage=usage, response_id=name)


def show_cache(exchange: Exchange, resources: Resources) -> Reply:
    """Answer one cache."""
    cache = found(resources.caches, exchange.route.name)
    return json_reply(cache, usage=cache["usageMetadata"], response_id=cache["name"])


def update_cache(exchange: Exchange, resources: Resources) -> Reply:
    """Set when a cache expires."""
    cache = found(resources.caches, exchange.route.name)
    cache |= {"expireTime": _expiry(exchange), "updateTime": exchange.moment}
    return json_reply(cache, usage=cache["usageMetadata"], response_id=cache["name"])


def delete_cache(exchange: Exchange, resources: Resources) -> Reply:
    """Forget a cache."""
    found(resources.caches, exchange.route.name)
    del resources.caches[exchange.route.name], resources.cache_tokens[exchange.route.name]
    return json_reply({})


def list_caches(exchange: Exchange, resources: Resources) -> Reply:
    """Answer the caches."""
    return page(exchange, "cachedContents", list(resources.caches.values()))


def upload_file(exchange: Exchange, resources: Resources) -> Reply:
    """Take a file: by the resumable protocol (start, then chunks to the URL that was given), or in one multipart.

    An upload under way can be asked about (query) and given up (cancel).
    """
    headers = exchange.request.headers
    command = headers.get("x-goog-upload-command", "")
    if headers.get("x-goog-upload-protocol") == "multipart":
        return _finish(exchange, resources, _multipart(exchange))
    if "start" in command:
        return _start(exchange, resources)
    upload: Upload = found(resources.uploads, exchange.request.query.get("upload_id", ""))
    if command in ("query", "cancel"):
        return _stand(exchange, resources, upload, command)
    if int(headers.get("x-goog-upload-offset", "0")) != len(upload.data):
        raise Failure(400, "The upload offset is not where the last chunk ended.")
    upload.data += exchange.request.body
    if "finalize" not in command:
        return json_reply({}, headers={"x-goog-upload-status": "active"})
    upload.file = _finish(exchange, resources, upload)
    return upload.file


def show_file(exchange: Exchange, resources: Resources) -> Reply:
    """Answer one file."""
    return json_reply(found(resources.files, exchange.route.name))


def download_file(exchange: Exchange, resources: Resources) -> Reply:
    """Give back the bytes of a file, where Google does: elsewhere it answers with the way to there."""
    shown = found(resources.files, exchange.route.name)
    if not exchange.request.path.startswith(_DOWNLOADS):
        return Reply(
            (Chunk(b""),), 302, headers={"location": f"{exchange.origin}{_DOWNLOADS}{exchange.request.target}"}
        )
    return Reply((Chunk(resources.file_data[shown["name"]]),), content_type=shown["mimeType"])


def list_files(exchange: Exchange, resources: Resources) -> Reply:
    """Answer the files."""
    return page(exchange, "files", list(resources.files.values()))


def delete_file(exchange: Exchange, resources: Resources) -> Reply:
    """Forget a file."""
    found(resources.files, exchange.route.name)
    del resources.files[exchange.route.name], resources.file_data[exchange.route.name]
    return json_reply({})


def _start(exchange: Exchange, resources: Resources) -> Reply:
    upload_id = exchange.ids.new()
    shown = field(exchange.body, "file") or {}
    kind = exchange.request.headers.get("x-goog-upload-header-content-type") or "application/octet-stream"
    resources.uploads[upload_id] = _described(shown, kind)
    version = exchange.route.version or "v1beta"
    url = f"{exchange.origin}/upload/{version}/files?upload_id={upload_id}&upload_protocol=resumable"
    return json_reply({}, headers={"x-goog-upload-url": url, "x-goog-upload-status": "active"})


def _stand(exchange: Exchange, resources: Resources, upload: Upload, command: str) -> Reply:
    """Say how far an upload came, and what became of it, or give it up."""
    if command == "cancel":
        del resources.uploads[exchange.request.query["upload_id"]]
        return json_reply({}, headers={"x-goog-upload-status": "cancelled"})
    if upload.file is not None:
        return upload.file
    received = str(len(upload.data))
    return json_reply({}, headers={"x-goog-upload-status": "active", "x-goog-upload-size-received": received})


def _multipart(exchange: Exchange) -> Upload:
    """Read a multipart/related body: a part of JSON about the file, then the file."""
    boundary = exchange.request.headers.get("content-type", "").partition("boundary=")[2].strip('"')
    sections = exchange.request.body.split(b"--" + boundary.encode())
    if not boundary or len(sections) < 4:
        raise Failure(400, "The multipart body holds no file.")
    about = json.loads(sections[1].partition(b"\r\n\r\n")[2] or b"{}").get("file", {})
    head, _, data = sections[2].partition(b"\r\n\r\n")
    kind = head.lower().partition(b"content-type:")[2].split(b"\r\n", 1)[0].strip().decode()
    upload = _described(about, kind)
    upload.data += data.removesuffix(b"\r\n")
    return upload


def _described(about: Any, kind: str) -> Upload:
    return Upload(field(about, "mimeType") or kind, field(about, "displayName") or "", name=field(about, "name") or "")


def keep_file(exchange: Exchange, resources: Resources, upload: Upload) -> dict[str, Any]:
    """Keep a file under the name that was chosen for it, else a new one, and give what is shown of it."""
    name = upload.name or exchange.ids.new("files/").lower()
    if name in resources.files:
        raise Failure(409, f"The file {name} exists already.")
    version = exchange.route.version or "v1beta"
    shown: dict[str, Any] = {
        "name": name,
        "displayName": upload.display_name,
        "mimeType": upload.content_type,
        "sizeBytes": str(len(upload.data)),
        "createTime": exchange.moment,
        "updateTime": exchange.moment,
        "uri": f"https://generativelanguage.googleapis.com/{version}/{name}",
        "state": "ACTIVE",
    }
    resources.files[name], resources.file_data[name] = shown, bytes(upload.data)
    return shown


def _finish(exchange: Exchange, resources: Resources, upload: Upload) -> Reply:
    shown = keep_file(exchange, resources, upload)
    return json_reply({"file": shown}, headers={"x-goog-upload-status": "final"})


def _expiry(exchange: Exchange) -> str:
    given = field(exchange.body, "expireTime")
    if given:
        return str(given)
    life = field(exchange.body, "ttl")
    seconds = timedelta(seconds=float(str(life).removesuffix("s"))) if life else CACHE_LIFE
    return _written(exchange.now + seconds)


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
