"""The audit: who changed what, newest first. Nothing edits it."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from jangbu.dashboard.fields import Wrong, id_of, place_of, placed
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import OWNERS, Page
from jangbu.domain.windows import zone_named
from jangbu.metering.exports import Table, audited
from jangbu.storage.audit import AuditRow

__all__ = ["PAGE"]

_SHOWN = 50
_MEMBERS_MOST = 1_000
_TARGET_LENGTH_MAX = 500
_ACCOUNT = "account:"


async def show(look: Look) -> Mapping[str, Any]:
    """Read a page of the audit: of everything, of what one member did, or of what was done to one thing."""
    member, target = look.asked("member"), look.asked("target")
    actor, of_target = _chosen(look)
    lines = await look.ledger.audit.page(_SHOWN + 1, place_of(look.asked("after")), actor=actor, target=of_target)
    last = lines[_SHOWN - 1] if len(lines) > _SHOWN else None
    return {
        "lines": [(line, _user(line), _written(line.before), _written(line.after)) for line in lines[:_SHOWN]],
        "next": None if last is None else placed(last.at, last.id),
        "members": await look.ledger.members.list(limit=_MEMBERS_MOST),
        "member": member,
        "target": target,
    }


async def audit(look: Look) -> Table:
    """Read all lines of the audit that the filters let through."""
    actor, target = _chosen(look)
    return await audited(
        look.ledger.audit, look.ledger.database, zone_named(look.formats.zone), actor=actor, target=target
    )


def _chosen(look: Look) -> tuple[UUID | None, str | None]:
    """Give whose lines are shown, or else of what."""
    member, target = look.asked("member"), look.asked("target")
    if target is not None and (len(target) > _TARGET_LENGTH_MAX or "\x00" in target):
        raise Wrong("id", text=target[:40])
    return (None, target) if member is None else (id_of(member), None)


def _user(line: AuditRow) -> str | None:
    """Give the user whose account something was done to."""
    return line.target.removeprefix(_ACCOUNT) if line.target.startswith(_ACCOUNT) else None


def _written(facts: Mapping[str, Any] | None) -> str:
    """Write facts in one line; what is not known of them is left out."""
    if facts is None:
        return ""
    return json.dumps({name: value for name, value in facts.items() if value is not None}, ensure_ascii=False)


PAGE = Page("/settings/audit", "settings_audit", OWNERS, show, in_menu=False, files={"audit": audit})
