"""Resources: who owns what lives at the provider, where everything belongs to the app.

Files, caches, batches, operations and interactions are written down under the account that made them, by the name that
the provider gave; nobody else can list, read or use them. An upload under way is one too, known by a token.
"""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from jangbu.errors import InvalidInput, NotFound, NotPermitted
from jangbu.metering.content import metadata_text, model_name, service_name
from jangbu.metering.owned import LaterCall, Owned, ResourceKind, owned
from jangbu.metering.retry import repeated
from jangbu.providers.gemini.batch_request import cache_tokens
from jangbu.providers.gemini.caches import seconds_left
from jangbu.storage import caches, resources
from jangbu.storage.database import Database
from jangbu.storage.failures import translated
from jangbu.storage.resources import FileUser, Kept, ResourceClaim

__all__ = ["CACHE_TOKENS", "FileUser", "Kept", "LaterCall", "Owned", "ResourceKind", "Resources"]

Result = TypeVar("Result")

_NAME_LENGTH_MAX = 300
_ACCOUNT_BYTES = 16
_SECRET_BYTES = 32
_TOKEN = re.compile(r"[A-Za-z0-9_-]{64}")
"""48 bytes as base64url: no padding, so that each token has one spelling."""
_SWEEP_MAX = 500
CACHE_TOKENS = "tokens"
"""Where it is written down with a cache how many tokens it has."""
_CLAIMED = "claimed"
"""Where it is written down with an upload that its file was."""


class Resources:
    """The resources of one project's users."""

    def __init__(self, database: Database, *, project: str, retry_seconds: int) -> None:
        self._database = database
        self._project = project
        self._retry_seconds = retry_seconds

    async def claim(
        self,
        account: UUID,
        name: str,
        kind: ResourceKind,
        *,
        call: LaterCall | None = None,
        key: UUID | None = None,
        target: str | None = None,
        seconds: int | None = None,
        digest: Mapping[str, Any] | None = None,
    ) -> Owned:
        """Write down, durably, that a resource is an account's; give what is written down.

        ``seconds`` is how long it lives, by the database's clock, None for ever; give it for what the provider deletes
        by itself, because until then the name is this account's. What a call waits for does not expire before it is
        settled. ``digest`` is for ``Resources.digest`` to give, where no call waits. To repeat a claim is harmless; it
        sets anew how long the resource lives, and its digest, because another content may bear the name by now. Raises
        NotPermitted where it is somebody else's, NotFound for an account that was not opened, InvalidInput for a name
        that cannot be stored.
        """
        if not _is_name(name):
            raise _no_name(name)
        content = json.dumps(digest) if digest else None
        claimed = ResourceClaim(account, name, kind.value, key=key, metadata=content, target=target, seconds=seconds)
        if call is not None:
            claimed = replace(
                claimed,
                call=call.id,
                service=service_name(call.service),
                model=model_name(call.model),
                metadata=metadata_text(call.metadata),
                key=call.key,
                begun_by_app=call.begun_by_app,
            )
        is_known, row = await self._patiently(lambda: resources.claim(self._database, self._project, claimed))
        if not is_known:
            raise NotFound(f"there is no account {account}")
        if row is None:
            raise NotPermitted(f"{name} belongs to another user")
        return owned(row)

    async def find(self, account: UUID, name: str) -> Owned | None:
        """Give a resource of an account; None where there is none, and where it is another's."""
        row = await resources.find(self._database, account, name) if _is_name(name) else None
        return None if row is None else owned(row)

    async def begun(self, name: str) -> Owned | None:
        """Give work that somebody began, whoever that was; None where nobody's call has anything to do with it."""
        row = await resources.begun(self._database, self._project, name) if _is_name(name) else None
        return None if row is None else owned(row)

    async def digest(self, account: UUID, name: str) -> Mapping[str, Any]:
        """Give what was written down of a resource's content; nothing where nobody read it, or it is another's."""
        text = await resources.digest(self._database, account, name) if _is_name(name) else None
        return json.loads(text) if text else {}

    async def owns_all(self, account: UUID, names: Sequence[str]) -> Sequence[str]:
        """Give those of the names that are not the account's, in their order; none where it owns them all."""
        if not names:
            return ()
        owned = set(filter(_is_name, names))
        owned.difference_update(await resources.lacking(self._database, account, sorted(owned)))
        return tuple(name for name in dict.fromkeys(names) if name not in owned)

    async def page(
        self, account: UUID, kind: ResourceKind, limit: int = 100, after: str | None = None
    ) -> Sequence[Owned]:
        """Give an account's resources of a kind, newest first, from the one after a ``place``.

        Raises InvalidInput for a place that ``Owned.place`` did not give.
        """
        rows = await resources.page(self._database, account, kind.value, limit, _place(after))
        return [owned(row) for row in rows]

    async def forget(self, account: UUID, name: str) -> bool:
        """Forget a resource that its owner deleted; tell whether it was theirs until now. One that a call reads is not
        forgotten.

        A hold that waits for it stays until its time is up; then its outcome is unknown.
        """
        return _is_name(name) and await self._patiently(lambda: resources.forget(self._database, account, name))

    async def kept(self, account: UUID) -> Kept:
        """Give what an account has the provider keep, uploads under way among it."""
        return await resources.kept(self._database, account)

    async def resize(self, account: UUID, name: str, size: int | None) -> None:
        """Note, durably, how many bytes a resource takes of the provider's room; None where it takes none any more."""
        await self._patiently(lambda: resources.resize(self._database, account, name, size))

    async def use(self, account: UUID, names: Sequence[str], call: UUID) -> Mapping[str, Mapping[str, Any]]:
        """Note, durably, that a call reads files of an account; give those that are there, each with its digest.

        Take the call's hold before: as long as there is one, nobody deletes the files, or gives their names to others.
        """
        known = sorted(set(filter(_is_name, names)))
        rows = await self._patiently(lambda: resources.use(self._database, account, known, call)) if known else ()
        return {name: json.loads(text) if text else {} for name, text in rows}

    async def unuse(self, account: UUID, call: UUID) -> None:
        """Note that a call reads its files no more."""
        await self._patiently(lambda: resources.unuse(self._database, account, call))

    async def users(self, account: UUID, name: str) -> Sequence[FileUser]:
        """Give the calls that were noted as reading a file, also those that have ended."""
        return await resources.users(self._database, account, name)

    async def used(self, names: Sequence[str]) -> Sequence[str]:
        """Give those of the names by which a call that has not ended reads a file, whosever that is."""
        known = sorted(set(filter(_is_name, names)))
        return await resources.used(self._database, self._project, known) if known else ()

    async def settled(self, account: UUID, name: str) -> bool:
        """Note that a result was seen, here and on whatever waits for the same call; tell whether it is news."""
        return await self._patiently(lambda: resources.settle(self._database, account, name))

    async def lost(self, account: UUID, name: str) -> bool:
        """Note that the provider has a result no more, so that it is waited for no more; tell whether that is all there
        was of it, and nothing else may still show it. Its owner may ask for it all the same.
        """
        return not await self._patiently(lambda: resources.lose(self._database, account, name))

    async def open_upload(
        self, account: UUID, target: str, seconds: int, *, key: UUID, digest: Mapping[str, Any] | None = None
    ) -> str:
        """Begin an upload that goes on at ``target`` for some seconds; give the token by which it is known.

        Whoever has the token can go on with the upload, without showing a key; only a digest of it is kept, and the id
        of the key with which it was begun. ``digest`` is what has to be known of it then. Raises NotFound.
        """
        secret = secrets.token_bytes(_SECRET_BYTES)
        name = _upload_name(secret)
        await self.claim(account, name, ResourceKind.UPLOAD, key=key, target=target, seconds=seconds, digest=digest)
        return base64.urlsafe_b64encode(account.bytes + secret).decode()

    async def upload(self, token: str) -> Owned | None:
        """Give the upload that a token stands for; None where it stands for none, or its time is up."""
        if not _TOKEN.fullmatch(token):
            return None
        given = base64.urlsafe_b64decode(token)
        return await self.find(UUID(bytes=given[:_ACCOUNT_BYTES]), _upload_name(given[_ACCOUNT_BYTES:]))

    async def finish_upload(
        self, upload: Owned, file: str, *, seconds: int, digest: Mapping[str, Any] | None, size: int
    ) -> bool:
        """Write down, durably, that the file of an upload is its owner's, the first time that it is seen; tell whether
        that is news. Whoever asks again how the upload ended may have deleted the file meanwhile.

        The rest is as ``claim`` has it. Raises NotPermitted where the file is somebody else's, and InvalidInput.
        """
        if not _is_name(file):
            raise _no_name(file)
        content = json.dumps(digest) if digest else None
        is_news = await self._patiently(
            lambda: resources.finish_upload(
                self._database,
                self._project,
                upload.account,
                upload.name,
                file,
                seconds=seconds,
                digest=content,
                size=size,
            )
        )
        if not is_news and _CLAIMED not in await self.digest(upload.account, upload.name):
            raise NotPermitted(f"{file} belongs to another user")
        return is_news

    async def waiting(self, seconds: int, limit: int, after: Owned | None = None) -> Sequence[Owned]:
        """Give what was begun so many seconds ago or earlier and has shown no result yet, from all accounts, the oldest
        first, from the one after another; not what the provider has no more.
        """
        place = None if after is None else (after.created_at, after.name)
        return [owned(row) for row in await resources.waiting(self._database, self._project, seconds, limit, place)]

    async def first_bytes(self, upload: Owned) -> bool:
        """Note that bytes of an upload are sent on; tell whether they are the first. Until then it is not settled."""
        return upload.settled_at is None and await self.settled(upload.account, upload.name)

    async def keep_cache(self, account: UUID, name: str, answer: Mapping[str, Any]) -> None:
        """Write down whose a cache is, until when it lives, and how many tokens it has, as Google's answer shows it."""
        tokens = cache_tokens(answer)
        digest = None if tokens is None else {CACHE_TOKENS: tokens}
        await self.claim(account, name, ResourceKind.CACHE, seconds=seconds_left(answer), digest=digest)

    async def owner_of_cache(self, name: str) -> UUID | None:
        """Give the account whose a cache is that has not ended, or None."""
        return await self._patiently(lambda: caches.owner(self._database, self._project, name))

    async def change_cache(self, account: UUID, name: str, answer: Mapping[str, Any]) -> None:
        """Have a cache that has not ended live for longer or shorter, as Google's answer shows it."""
        seconds = seconds_left(answer)
        if seconds is not None:
            await self._patiently(lambda: caches.change(self._database, account, name, seconds))

    async def end_cache(self, account: UUID, name: str) -> None:
        """Have a cache be nobody's any more that its owner deleted. It is forgotten when it has its price."""
        await self._patiently(lambda: caches.end(self._database, account, name))

    async def expire(self) -> int:
        """Forget the resources whose time is up, but for caches, which are priced first; give how many."""
        gone = 0
        while batch := await resources.expire(self._database, _SWEEP_MAX):
            gone += batch
        return gone

    async def _patiently(self, ask: Callable[[], Awaitable[Result]]) -> Result:
        """Write what the provider has done already, so that a short failure of the database does not lose it."""
        with translated():
            return await repeated("resources", ask, seconds=self._retry_seconds)


def _no_name(name: str) -> InvalidInput:
    return InvalidInput(f"{name[:40]!r} is no name of a resource", hint=f"at most {_NAME_LENGTH_MAX} characters")


def _upload_name(secret: bytes) -> str:
    return f"uploads/{hashlib.sha256(secret).hexdigest()}"


def _is_name(name: str) -> bool:
    """Tell whether this can be a name at all: clients put anything into a path, and PostgreSQL takes no NUL."""
    return 0 < len(name) <= _NAME_LENGTH_MAX and name.isprintable()


def _place(after: str | None) -> tuple[datetime, str] | None:
    if after is None:
        return None
    moment, _, name = after.partition(" ")
    try:
        at = datetime.fromisoformat(moment).astimezone(UTC)
    except (ValueError, OverflowError):
        name = ""
    if not _is_name(name):
        raise InvalidInput("this is no place in a list", hint="go on from where the last page ended")
    return at, name
