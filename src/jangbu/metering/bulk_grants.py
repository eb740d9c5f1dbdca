"""Granting what a file says: looked at whole before anything is granted, then granted a few lines at a time.

Each line is a grant of its own, under a key that is made of the file's: however often a file is granted, broken off or
gone on with, and by how many at once, nobody is granted a line of it twice. A file's key stands for its lines, in
whatever order and form they are written. None is made of the lines themselves: a file that was broken off and then
edited would be another one, and those who have theirs already would be granted theirs again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from jangbu import telemetry
from jangbu.clock import Clock, new_id
from jangbu.domain.grant_files import BYTES_MAX, GrantFile, GrantLine, read, text_of
from jangbu.domain.grant_flaws import Flaw, Problem
from jangbu.domain.ledger import Asset, account_id, is_erased, project_id
from jangbu.errors import DatabaseUnreachable, IdempotencyConflict, InvalidInput, JangbuError, NoAccount, TooLarge
from jangbu.metering.audit import Audit, Change
from jangbu.metering.bulk_lines import Checked, Granted, Line
from jangbu.metering.burning import burn_within
from jangbu.metering.content import digest
from jangbu.metering.once import nothing_more
from jangbu.metering.postings import change_of, grant_posting
from jangbu.metering.retry import repeated
from jangbu.storage import accounts, entries
from jangbu.storage.accounts import AccountRow
from jangbu.storage.database import Connection, Database
from jangbu.storage.entries import KeyRow, Posting
from jangbu.storage.failures import translated

__all__ = ["KEY_LENGTH_MAX", "BulkGrants", "Tell", "file_target", "is_file_key"]

Item = TypeVar("Item")

KEY_LENGTH_MAX = 200
_KEY_HINT = f"use 1 to {KEY_LENGTH_MAX} printable characters, without blanks around them"
_LINES = 50
"""How many lines are one transaction: as long as it lasts, their users' calls wait for their balances."""
_LOOKED_UP = 1_000
_MOST = 2**63 - 1

Tell = Callable[[int, int], None]
"""Told how many lines are granted, and how many there are."""


class BulkGrants:
    """Grants files of tokens to the accounts of one project."""

    def __init__(self, database: Database, clock: Clock, audit: Audit, *, project: str, retry_seconds: int) -> None:
        self._database = database
        self._clock = clock
        self._audit = audit
        self._project = project
        self._retry_seconds = retry_seconds

    async def check(self, file: bytes | str, zone: ZoneInfo, *, key: str) -> Checked:
        """Look at all lines of a file and grant nothing.

        Raises IdempotencyConflict where the key stands for other lines, InvalidInput where it is none, and TooLarge.
        """
        if not is_file_key(key):
            raise InvalidInput(f"{key[:40]!r} is no idempotency key", hint=_KEY_HINT)
        # The few milliseconds that this takes are not taken from calls that are under way.
        found = await asyncio.to_thread(_read, file, zone)
        content = _content(found.lines)
        if not found.problems:
            await self._require_same(key, content)
        now = await self._database.now()
        lines: list[Line] = []
        problems = list(found.problems)
        for each in _parts(found.lines, _LOOKED_UP):
            good, wrong = await self._look_up(each, key, now)
            lines += good
            problems += wrong
        problems.sort(key=lambda problem: problem.line)
        checked = Checked(key, tuple(lines), tuple(problems), content)
        if not problems and not checked.left:
            # Whoever granted the last of it may have died before they could say so.
            await self._end(checked)
        return checked

    async def grant(self, checked: Checked, *, tell: Tell | None = None, seconds: int | None = None) -> Granted:
        """Grant what is left of a file, for some seconds where that is said; the next time it is gone on with.

        Raises InvalidInput where something is wrong with a line, and IdempotencyConflict.
        """
        if checked.problems:
            raise _refusal(checked.problems[0], checked.problems[0].hint)
        until = None if seconds is None else asyncio.get_running_loop().time() + seconds
        await self._once(_file_key(checked.key), checked, nothing_more)
        done = [each for each in checked.lines if each.grant is not None]
        # In the order in which everybody locks balances, whichever lines another process has at the same time.
        left = sorted(checked.left, key=lambda each: each.account)
        with _saying_how_far(done, len(checked.lines)):
            for part in _parts(left, _LINES):
                if until is not None and asyncio.get_running_loop().time() >= until:
                    break
                done += await self._grant(part, checked.key)
                if tell is not None:
                    tell(len(done), len(checked.lines))
            is_whole = len(done) == len(checked.lines)
            if is_whole:
                await self._end(checked)
        return Granted(checked.key, tuple(sorted(done, key=lambda each: each.line.number)), is_whole)

    @property
    def _owner(self) -> UUID:
        return project_id(self._project)

    async def _require_same(self, key: str, content: bytes) -> None:
        known = await entries.find_key(self._database, self._owner, _file_key(key))
        if known is not None and known.digest != content:
            raise _of_other_lines(key, known)

    async def _look_up(self, lines: Sequence[GrantLine], key: str, now: datetime) -> tuple[list[Line], list[Problem]]:
        """Find the accounts of some lines, and which of them were granted before; tell what cannot be granted."""
        gone = [line for line in lines if is_erased(line.user)]
        lines = [line for line in lines if not is_erased(line.user)]
        ids = [account_id(self._project, line.user) for line in lines]
        known = await accounts.gather(self._database, ids)
        granted = await entries.gather_keys(self._database, ids, _file_key(key))
        good: list[Line] = []
        problems = [Problem(line.number, Flaw.UNKNOWN, {"text": line.user}) for line in gone]
        for line, account in zip(lines, ids, strict=True):
            found, before = known.get(account), granted.get(account)
            if found is not None and is_erased(found.user):
                found = None
            problem = None if before is not None and found is not None else _problem(line, found, now)
            if problem is not None or found is None:
                problems.append(problem or Problem(line.number, Flaw.UNKNOWN, {"text": line.user}))
                continue
            if before is not None and before.digest != _posting(line, account, before.result_id, key).digest:
                raise _of_other_lines(key, before)
            grant = None if before is None else before.result_id
            good.append(Line(line, account, found.balance, grant, replayed=before is not None))
        return good, problems

    async def _grant(self, lines: Sequence[Line], key: str) -> list[Line]:
        """Grant some lines in one transaction."""
        # Each grant has its id before the first attempt: what one committed without being told is known again by it.
        made_of = [(each, _posting(each.line, each.account, new_id(self._clock), key)) for each in lines]
        with translated():
            made = await repeated("accounts", lambda: self._grant_once(made_of, key), seconds=self._retry_seconds)
        for each in made:
            if not each.replayed:
                telemetry.emit("accounts.posted", account=each.account)
        return made

    async def _grant_once(self, made_of: Sequence[tuple[Line, Posting]], key: str) -> list[Line]:
        now = await self._database.now()
        async with self._database.connection() as connection, connection.transaction():
            return [await self._grant_line(connection, each, posting, key, now) for each, posting in made_of]

    async def _grant_line(self, connection: Connection, each: Line, posting: Posting, key: str, now: datetime) -> Line:
        await burn_within(connection, self._clock, each.account, Asset.TOKENS, now)
        past = _past(each.line, now)
        balance = None if past is not None else await entries.post(connection, posting)
        if balance is not None:
            await self._audit.note(connection, change_of(each.line.user, posting, file=key))
            return Line(each.line, each.account, balance, posting.id)
        known = await entries.find_key(connection, each.account, posting.key)
        if known is None and past is not None:
            raise _refusal(past, "put the lines that are left into a file under a new key, with a time to come")
        if known is None:
            raise NoAccount(each.line.user)
        if known.digest != posting.digest:
            raise _of_other_lines(key, known)
        return replace(each, grant=known.result_id, replayed=known.result_id != posting.id)

    async def _end(self, checked: Checked) -> None:
        """Write down, once, that all of a file is granted."""

        async def note(connection: Connection) -> None:
            facts = {"accounts": len(checked.lines), "tokens": checked.tokens}
            await self._audit.note(connection, Change("account.grant_file", file_target(checked.key), after=facts))

        await self._once(f"file-end:{checked.key}", checked, note)

    async def _once(self, named: str, checked: Checked, act: Callable[[Connection], Awaitable[None]]) -> None:
        """Act in one transaction with the claim of a name, unless it was claimed for the same lines before."""

        async def attempt() -> None:
            async with self._database.connection() as connection, connection.transaction():
                if await entries.reserve_key(connection, self._owner, named, checked.content, new_id(self._clock)):
                    await act(connection)

        with translated():
            await repeated("accounts", attempt, seconds=self._retry_seconds)
        await self._require_same(checked.key, checked.content)


def is_file_key(key: str) -> bool:
    """Tell whether a file can go by a key. With a blank more it would look like one that was used, and be another."""
    return 0 < len(key) <= KEY_LENGTH_MAX and key.isprintable() and key == key.strip()


def file_target(key: str) -> str:
    """Name a file of grants in the audit."""
    return f"grants:{key}"


def _of_other_lines(key: str, known: KeyRow) -> IdempotencyConflict:
    """Say that a file of this key had other lines, and how what was added to it is granted and nothing else."""
    return IdempotencyConflict(
        f"key {key!r} was used at {known.created_at:%Y-%m-%d %H:%M} UTC for a file with other lines",
        hint="send that file as it was to go on with it; put only the lines that are new into a file under a new key",
    )


def _read(file: bytes | str, zone: ZoneInfo) -> GrantFile:
    if len(file) > BYTES_MAX:
        raise TooLarge("the file is too large", hint=f"at most {BYTES_MAX:,} bytes; split it, with a key for each part")
    return read(text_of(file) if isinstance(file, bytes) else file, zone)


def _content(lines: Sequence[GrantLine]) -> bytes:
    """Give the digest of what lines say, whatever their order."""
    said = [
        (line.user, line.amount, line.source, line.priority, line.expires_at and line.expires_at.isoformat())
        for line in sorted(lines, key=lambda line: line.user)
    ]
    return digest("grant.file", said)


def _problem(line: GrantLine, found: AccountRow | None, now: datetime) -> Problem | None:
    if found is None:
        return Problem(line.number, Flaw.UNKNOWN, {"text": line.user})
    if (past := _past(line, now)) is not None:
        return past
    if found.balance.granted + line.amount > _MOST:
        return Problem(line.number, Flaw.TOO_MUCH, {"text": line.user})
    return None


def _past(line: GrantLine, now: datetime) -> Problem | None:
    if line.expires_at is None or line.expires_at > now:
        return None
    return Problem(line.number, Flaw.PAST, {"text": line.expires})


def _refusal(problem: Problem, hint: str) -> InvalidInput:
    return InvalidInput(f"line {problem.line} cannot be granted: {problem.message}", hint=hint)


@contextmanager
def _saying_how_far(done: Sequence[Line], number: int) -> Iterator[None]:
    """Have an error say how many lines are granted; to repeat it helps where the database was away alone."""
    try:
        yield
    except JangbuError as error:
        error.progress = len(done), number
        said = f"{len(done):,} of {number:,} lines are granted"
        more = "repeat it to go on" if isinstance(error, DatabaseUnreachable) else error.hint
        error.hint = f"{said}; {more}" if more else said
        raise


def _file_key(key: str) -> str:
    """Give the name that a file's key is kept under, where no key of a caller's own can be."""
    return f"file:{key}"


def _posting(line: GrantLine, account: UUID, grant: UUID, key: str) -> Posting:
    return grant_posting(
        account,
        line.amount,
        grant,
        _file_key(key),
        source=line.source,
        priority=line.priority,
        expires_at=line.expires_at,
    )


def _parts(found: Sequence[Item], most: int) -> Sequence[Sequence[Item]]:
    return [found[start : start + most] for start in range(0, len(found), most)]
