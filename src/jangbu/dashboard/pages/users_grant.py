"""Grants to many users at once: a CSV is looked at whole, shown with all that is wrong in it, and granted as shown."""

from collections.abc import Mapping
from typing import Any, ClassVar

from jangbu.dashboard.fields import Wrong
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import FORM_BYTES_MAX, MONEY, Action, Answered, Page
from jangbu.domain.grant_files import BYTES_MAX
from jangbu.domain.grant_flaws import Problem
from jangbu.domain.windows import zone_named
from jangbu.errors import IdempotencyConflict
from jangbu.metering.bulk_grants import KEY_LENGTH_MAX, file_target, is_file_key
from jangbu.metering.bulk_lines import Checked, Granted, Line

__all__ = ["PAGE"]

_SHOWN = 100
_SECONDS = 20
"""How long a form is granted for; what is left then is gone on with by another."""
_ESCAPED = 3
"""By how much a byte grows in a form."""


class _OtherLines(IdempotencyConflict):
    """The name of a file stands for other lines; the text ``wrong.other_lines`` says what to do."""

    wrong = "other_lines"
    values: ClassVar[Mapping[str, object]] = {}


async def show(look: Look) -> Mapping[str, Any]:
    """Show the form for a file, and what came of the file that the address names."""
    key = look.asked("file")
    return _values(look) | {"done": None if key is None else await _done(look, key)}


async def check(look: Look) -> Answered:
    """Look at all lines of a file, and change nothing."""
    return _answered(look, await _checked(look))


async def grant(look: Look) -> str | Answered:
    """Grant a file that was looked at, if it still says what was shown."""
    if not look.form.get("key"):
        raise Wrong("form")
    checked = await _checked(look)
    if checked.problems:
        return _answered(look, checked)
    if checked.content.hex() != look.form.get("confirmation"):
        raise Wrong("form")
    try:
        granted = await look.ledger.accounts.in_bulk.grant(checked, seconds=_SECONDS)
    except IdempotencyConflict as error:
        raise _OtherLines(error.message, hint=error.hint) from None
    if granted.is_whole:
        return look.url("/users/grant", file=checked.key, notice="granted_file")
    return _answered(look, await _checked(look), granted)


async def _checked(look: Look) -> Checked:
    key, file = look.form.get("key", ""), look.form.get("csv", "")
    if not key:
        raise Wrong("no_key")
    if not is_file_key(key):
        raise Wrong("key", most=look.formats.number(KEY_LENGTH_MAX))
    if not file:
        raise Wrong("csv")
    try:
        return await look.ledger.accounts.in_bulk.check(file, zone_named(look.formats.zone), key=key)
    except IdempotencyConflict as error:
        raise _OtherLines(error.message, hint=error.hint) from None


async def _done(look: Look, key: str) -> Mapping[str, Any]:
    """Read what was granted of a file, as the audit has it."""
    if not is_file_key(key):
        raise Wrong("id", text=key[:40])
    lines = await look.ledger.audit.page(1, target=file_target(key))
    if not lines:
        raise Wrong("id", text=key[:40])
    return {"key": key, "at": lines[0].at, "by": lines[0].actor.name, **(lines[0].after or {})}


def _answered(look: Look, checked: Checked, granted: Granted | None = None) -> Answered:
    left = checked.left
    found = {
        "key": checked.key,
        "confirmation": checked.content.hex(),
        "lines": [_line(each) for each in checked.lines[:_SHOWN]],
        "accounts": len(checked.lines),
        "tokens": checked.tokens,
        "left": len(left),
        "left_tokens": sum(each.line.amount for each in left),
        "problems": [(each.line, _said(look, each)) for each in checked.problems[:_SHOWN]],
        "wrong": len({each.line for each in checked.problems}),
        "is_cut": max(len(checked.problems), len(checked.lines)) > _SHOWN,
        "granted": None if granted is None else len(granted.lines),
    }
    return Answered("users_grant.html", _values(look) | {"checked": found, "given_key": look.form.get("key", "")})


def _values(look: Look) -> dict[str, Any]:
    return {
        "csv": look.form.get("csv", ""),
        "given_key": "",
        "key_length": KEY_LENGTH_MAX,
        "shown": look.formats.number(_SHOWN),
        "checked": None,
        "done": None,
    }


def _line(each: Line) -> Mapping[str, Any]:
    return {
        "line": each.line,
        "before": each.balance.available,
        "after": each.balance.available + (0 if each.replayed else each.line.amount),
        "is_granted": each.replayed,
    }


def _said(look: Look, problem: Problem) -> str:
    """Say what is wrong with a line, and what to do about it."""
    number = look.formats.number
    values = {name: number(value) if isinstance(value, int) else value for name, value in problem.values.items()}
    return look.texts(f"bulk.wrong.{problem.flaw.value}", **values)


_LARGE = FORM_BYTES_MAX + BYTES_MAX * _ESCAPED

PAGE = Page(
    "/users/grant",
    "users_grant",
    MONEY,
    show,
    {"check": Action(check, MONEY, bytes_max=_LARGE), "grant": Action(grant, MONEY, bytes_max=_LARGE)},
    in_menu=False,
)
