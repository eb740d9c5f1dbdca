"""``grant --file``: what a CSV says is looked at whole, shown, and granted once it is agreed to."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jangbu.cli.money import counted, tokens
from jangbu.cli.output import shown_moment, write_data
from jangbu.cli.progress import progress
from jangbu.cli.session import Session
from jangbu.cli.tables import table
from jangbu.cli.values import file_bytes
from jangbu.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from jangbu.domain.grant_flaws import Problem
    from jangbu.metering.bulk_lines import Checked, Granted, Line

__all__ = ["grant_file"]

_SCHEMA_VERSION = 1
_SHOWN = 100
"""How many lines are shown to people; JSON has all of them."""
_COLUMNS = ("line>", "user", "tokens>", "expires", "priority>", "source", "available>", "granted")


async def grant_file(session: Session, file: str, key: str, *, dry_run: bool, yes: bool) -> None:
    """Grant the lines of a file, or only look at them."""
    from jangbu.domain.grant_files import BYTES_MAX
    from jangbu.domain.windows import zone_named

    data = file_bytes(file, most=BYTES_MAX)
    async with session.ledger() as metering:
        bulk = metering.accounts.in_bulk
        checked = await bulk.check(data, zone_named("UTC"), key=key)
        facts = {"schema_version": _SCHEMA_VERSION, "file": file, "key": checked.key, "dry_run": dry_run}
        if checked.problems:
            session.show(facts | _facts_of_problems(checked.problems), lambda: _problems_table(checked.problems))
            raise _refusal(file, checked.problems)
        if dry_run:
            session.show(facts | _facts(checked.lines), lambda: f"{_table(checked.lines)}\n{_outlook(checked)}")
            return
        if not session.as_json and not yes:
            write_data(f"{_table(checked.lines)}\n{_outlook(checked)}")
        if checked.left and not yes and not session.agrees(f"Grant {_what(checked.left)}?"):
            raise InvalidInput(f"{counted(len(checked.left), 'line')} not granted", hint="give --yes to grant them")
        with progress(session) as tell:
            told = None if tell is None else lambda done, total: tell("granting", done, total)
            granted = await bulk.grant(checked, tell=told)
    session.show(facts | _facts(granted.lines), lambda: _report(granted))


def _refusal(file: str, problems: "Sequence[Problem]") -> InvalidInput | NotFound:
    """Say that nothing was granted; users of whom nobody knows are not found, as in a single grant."""
    from jangbu.domain.grant_flaws import Flaw

    lines = len({each.line for each in problems})
    said = f"{counted(lines, 'line')} of {file} cannot be granted, and nothing was"
    hint = f"line {problems[0].line}: {problems[0].message}; {problems[0].hint}"
    is_of_users = all(each.flaw is Flaw.UNKNOWN for each in problems)
    return NotFound(said, hint=hint) if is_of_users else InvalidInput(said, hint=hint)


def _facts_of_problems(problems: "Sequence[Problem]") -> dict[str, Any]:
    errors = [
        {"line": each.line, "code": each.flaw.value, "message": each.message, "hint": each.hint} for each in problems
    ]
    return {"ok": False, "errors": errors}


def _facts(lines: "Sequence[Line]") -> dict[str, Any]:
    return {
        "ok": True,
        "accounts": len(lines),
        "tokens": sum(each.line.amount for each in lines),
        "replayed": sum(each.replayed for each in lines),
        "grants": [
            {
                "line": each.line.number,
                "user": each.line.user,
                "amount": each.line.amount,
                "expires_at": each.line.expires_at,
                "priority": each.line.priority,
                "source": each.line.source,
                "id": each.grant,
                "replayed": each.replayed,
            }
            for each in lines
        ],
    }


def _table(lines: "Sequence[Line]") -> str:
    rows = [
        (
            str(each.line.number),
            each.line.user,
            tokens(each.line.amount),
            shown_moment(each.line.expires_at) or "never",
            str(each.line.priority),
            each.line.source,
            tokens(each.balance.available),
            "before" if each.replayed else "",
        )
        for each in lines[:_SHOWN]
    ]
    return table(_COLUMNS, rows) + _more(len(lines))


def _problems_table(problems: "Sequence[Problem]") -> str:
    rows = [(str(each.line), each.message, each.hint) for each in problems[:_SHOWN]]
    return table(("line>", "what is wrong", "what to do"), rows) + _more(len(problems))


def _more(number: int) -> str:
    return f"\n(and {number - _SHOWN:,} more; --json has them all)" if number > _SHOWN else ""


def _what(lines: "Sequence[Line]") -> str:
    return f"{counted(sum(each.line.amount for each in lines), 'token')} to {counted(len(lines), 'account')}"


def _outlook(checked: "Checked") -> str:
    before = len(checked.lines) - len(checked.left)
    again = f"; {counted(before, 'account')} had theirs before with this key" if before else ""
    return f"to grant: {_what(checked.left)}{again} (key {checked.key})"


def _report(granted: "Granted") -> str:
    before = len(granted.lines) - len(granted.new)
    again = f"; {counted(before, 'account')} had theirs before with this key" if before else ""
    return f"{_what(granted.new)} granted{again} (key {granted.key})"
