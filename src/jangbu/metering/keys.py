"""Keys: who may call the gateway and the API. They are made and revoked here, and known again on every call."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from jangbu.clock import Clock, new_id
from jangbu.domain.keys import (
    RANDOM_BYTES,
    Key,
    KeyKind,
    KeyState,
    check,
    digest,
    encode,
    hint,
    is_wellformed,
)
from jangbu.domain.ledger import account_id, project_id
from jangbu.domain.members import Member
from jangbu.domain.roles import exceeds, has_more_rights
from jangbu.errors import InvalidInput, NoAccount, NotFound, NotPermitted
from jangbu.metering.absence import Absence
from jangbu.metering.audit import Audit, Change
from jangbu.metering.content import digest as digest_of
from jangbu.metering.facts import key_facts
from jangbu.metering.key_limits import KeyLimits
from jangbu.metering.key_uses import KeyUses
from jangbu.metering.known_keys import KnownKeys
from jangbu.metering.once import done_once, nothing_more, was_done
from jangbu.storage import api_keys
from jangbu.storage.database import Connection, Database
from jangbu.storage.failures import translated

_REMEMBERED_MAX = 10_000
_LIMITED_MAKERS_MAX = 3
"""How many keys with limits a key may count under beside its own: each call is counted under all of them."""

_TOLD = frozenset({"kind", "name", "user", "scopes", "models", "expires_at"}) | {
    "requests_per_minute",
    "tokens_per_minute",
    "concurrent_calls",
}
"""What the audit says of a key that is made."""

_REFUSALS = {
    None: "the key is unknown",
    KeyState.REVOKED: "the key was revoked",
    KeyState.EXPIRED: "the key has expired",
}


class Keys:
    """The keys of one project. Belongs to one event loop.

    ``remembered_max`` bounds how many keys, and how many digests of no key, are remembered, ``absence`` how long
    the database is waited for where nothing fresh is known about one.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        project: str,
        remembered_max: int = _REMEMBERED_MAX,
        absence: Absence | None = None,
    ) -> None:
        self._database, self._clock, self._project = database, clock, project
        self._audit = Audit(database, clock, project=project)
        self._remembered_max = remembered_max
        self._known = KnownKeys(database, project=project, remembered_max=remembered_max, absence=absence)
        self.limits = KeyLimits(database, clock)
        self._uses = KeyUses(database, remembered_max=remembered_max)

    @property
    def remembered(self) -> tuple[int, int]:
        """How many keys, and how many digests of no key, are remembered."""
        return self._known.remembered

    async def create_for_user(
        self,
        user: str,
        *,
        name: str,
        scopes: Iterable[str] | None = None,
        models: Iterable[str] | None = None,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        concurrent_calls: int | None = None,
        expires_at: datetime | None = None,
    ) -> tuple[Key, str]:
        """Make a key whose calls the user pays for; give it with its secret, which cannot be had again.

        Raises NotFound where the user has no account, InvalidInput where a name or a limit cannot be kept.
        """
        limits = (requests_per_minute, tokens_per_minute, concurrent_calls)
        return await self._create(self.drafted(KeyKind.USER, name, user, scopes, models, limits, expires_at))

    async def create_for_app(
        self,
        name: str,
        *,
        scopes: Iterable[str] | None = None,
        models: Iterable[str] | None = None,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        concurrent_calls: int | None = None,
        expires_at: datetime | None = None,
    ) -> tuple[Key, str]:
        """Make a key whose holder names the user of each call; give it with its secret, which cannot be had again.

        Raises InvalidInput where the name or a limit cannot be kept.
        """
        limits = (requests_per_minute, tokens_per_minute, concurrent_calls)
        return await self._create(self.drafted(KeyKind.APP, name, None, scopes, models, limits, expires_at))

    def drafted(
        self,
        kind: KeyKind,
        name: str,
        user: str | None,
        scopes: Iterable[str] | None,
        models: Iterable[str] | None,
        limits: tuple[int | None, int | None, int | None],
        expires_at: datetime | None,
    ) -> Key:
        """Give a key as it would be made; limits are requests and tokens a minute, and calls at a time.

        Raises InvalidInput where it cannot be kept.
        """
        key = Key(
            new_id(self._clock),
            kind,
            name,
            user,
            "",
            None if scopes is None else tuple(dict.fromkeys(scopes)),
            None if models is None else tuple(dict.fromkeys(model.removeprefix("models/") for model in models)),
            *limits,
            expires_at,
            self._clock.now(),
            last_used_at=None,
            revoked_at=None,
        )
        check(key)
        return key

    async def make_for(self, maker: Key | Member, draft: Key, *, once: str) -> tuple[Key, str | None]:
        """Make a drafted key in the name of another one, or of a member, once for a key of the caller's; give it with
        its secret.

        Where it was made before there is no secret: that is stored nowhere. Raises NotPermitted for one that may do
        more than its maker, and what making a key raises.
        """
        if isinstance(maker, Key) and len(maker.counted_under) >= _LIMITED_MAKERS_MAX:
            raise NotPermitted(
                "keys with limits make keys that make keys only so deep", hint="make it with one of the first keys"
            )
        if exceeds(draft, maker):
            raise NotPermitted(
                "nobody makes a key that may do more than they may", hint="give it fewer scopes, models or less time"
            )
        if isinstance(maker, Key):
            draft = replace(draft, made_by=maker.id)
        content = digest_of(
            "keys.create",
            *(draft.kind, draft.name, draft.user, draft.scopes, draft.models),
            *(draft.requests_per_minute, draft.tokens_per_minute, draft.concurrent_calls),
            draft.expires_at and draft.expires_at.isoformat(),
        )
        owner = project_id(self._project)
        if not await was_done(self._database, owner, once, content):
            await self._require_time(draft)
        made, secret = draft, ""

        async def make(connection: Connection) -> None:
            nonlocal made, secret
            made, secret = await self._write(connection, draft)

        known = await done_once(self._database, owner, once, content, draft.id, make)
        return (made, secret) if known == draft.id else (await self.find(known), None)

    async def revoke_for(self, other: Key | Member, named: UUID, *, once: str) -> tuple[Key, bool, int]:
        """End a key in the name of another one, or of a member. Raises NotPermitted where those have not all rights
        that it has.
        """
        key = await self.find(named)
        if key.id != other.id and has_more_rights(key, other):
            raise NotPermitted("nobody ends a key that has more rights than they have", hint="have an owner do it")
        content = digest_of("keys.revoke", str(named))
        await done_once(self._database, project_id(self._project), once, content, named, nothing_more)
        return await self.revoke(named)

    async def find(self, named: UUID) -> Key:
        """Give a key by its id. Raises NotFound."""
        return (await self._named(str(named)))[0]

    async def list(
        self, user: str | None = None, limit: int = 1_000, before: tuple[datetime, UUID] | None = None
    ) -> Sequence[Key]:
        """Give the keys of the project, or of one user, newest first, expired and revoked ones too, from the one before
        that of this time and id.
        """
        account = None if user is None else account_id(self._project, user)
        return await api_keys.page(self._database, self._project, account, limit, before)

    async def revoke(self, named: UUID | str) -> tuple[Key, bool, int]:
        """End a key, by its id, hint, name or secret, and all that it made, directly or not; give it, whether it was in
        force until now, and how many others ended with it.

        Every gateway refuses it within seconds. Raises NotFound, and InvalidInput where several keys are meant.
        """
        found = await self._named(str(named))
        in_force = [key for key in found if key.revoked_at is None]
        if len(in_force) > 1:
            raise InvalidInput(
                "several keys in force are named so", hint="give the id of one; `jangbu keys list` shows them"
            )
        with translated():
            async with self._database.connection() as connection, connection.transaction():
                ended = await api_keys.revoke(connection, self._project, found[0].id)
                assert ended is not None, "keys are never deleted"
                revoked, others = ended
                if in_force or others:
                    facts = {"name": revoked.name, "ended_with_it": others}
                    await self._audit.note(connection, Change("keys.revoke", f"key:{revoked.id}", after=facts))
        return revoked, bool(in_force), others

    async def authenticate(self, secret: str) -> Key:
        """Give the key that a caller shows.

        Raises NotPermitted for one that is malformed, unknown, revoked or expired, with a message that is for the
        operator: who answers a caller says the same in every case. Raises DatabaseUnreachable where nothing fresh is
        known about the key and the database cannot be asked.
        """
        if not is_wellformed(secret):
            raise NotPermitted(_REFUSALS[None])
        verdict = await self._known.verdict(digest(secret))
        if verdict.key is None or verdict.state is not KeyState.ACTIVE:
            raise NotPermitted(_REFUSALS[verdict.state])
        self._uses.note(verdict.key.id)
        return verdict.key

    async def active(self, key: UUID) -> Key | None:
        """Give a key if it is in force at this moment, for what was begun with it and goes on without showing it."""
        return await api_keys.active(self._database, self._project, key)

    async def close(self) -> None:
        """Ask and note what waits, then stop."""
        await self.limits.close()
        await self._known.close()
        await self._uses.close()

    async def _create(self, draft: Key) -> tuple[Key, str]:
        await self._require_time(draft)
        with translated():
            async with self._database.connection() as connection, connection.transaction():
                return await self._write(connection, draft)

    async def _require_time(self, draft: Key) -> None:
        if draft.expires_at is not None and draft.expires_at <= await self._database.now():
            raise InvalidInput("the expiry has passed already", hint="give a time to come, or none")

    async def _write(self, connection: Connection, draft: Key) -> tuple[Key, str]:
        """Give a drafted key its secret, and keep it."""
        secret = encode(draft.kind, secrets.token_bytes(RANDOM_BYTES))
        key = replace(draft, hint=hint(secret))
        account = None if key.user is None else account_id(self._project, key.user)
        made_at = await api_keys.create(connection, self._project, key, digest(secret), account)
        if made_at is None:
            if key.made_by is not None and await self.active(key.made_by) is None:
                raise NotPermitted("the key that makes it was revoked", hint="use a key that is in force")
            assert key.user is not None, "an app's key needs no account"
            raise NoAccount(key.user)
        made = replace(key, created_at=made_at)
        facts = {name: value for name, value in key_facts(made, made_at).items() if name in _TOLD}
        await self._audit.note(connection, Change("keys.create", f"key:{made.id}", after=facts))
        return made, secret

    async def _named(self, word: str) -> Sequence[Key]:
        """Give the keys that a person names, the one to revoke first. What may be a secret is repeated nowhere."""
        shown = hint(word) + "…" if _may_be_secret(word) else repr(word[:60])
        try:
            found = await api_keys.named(self._database, self._project, key=UUID(word))
        except ValueError:
            if _may_be_secret(word):
                found = await api_keys.named(self._database, self._project, digest=digest(word))
            else:
                found = await api_keys.named(self._database, self._project, word=word)
        if not found:
            raise NotFound(f"there is no key {shown}", hint="`jangbu keys list` shows them")
        return found


def _may_be_secret(word: str) -> bool:
    return word.startswith(("jba_", "jbu_")) and word != hint(word)
