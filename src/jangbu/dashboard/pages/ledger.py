"""The ledger: every entry of a user with the balance after it, the calls that it is of, and whether it all adds up."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from jangbu.dashboard import files
from jangbu.dashboard.choices import CUSTOM, window_asked, zones_of
from jangbu.dashboard.done import key_of, new_key
from jangbu.dashboard.failing import told
from jangbu.dashboard.fields import Wrong, chosen_of, id_of, reason_of, whole
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import MONEY, READERS, WRITERS, Action, Page
from jangbu.dashboard.pages.user import user_of
from jangbu.domain.ledger import Asset, EntryKind
from jangbu.domain.windows import Preset
from jangbu.errors import IdempotencyConflict, InvalidInput, NoAccount, NotFound
from jangbu.metering import history
from jangbu.metering.reports import Reports
from jangbu.metering.snapshots import snapshot

__all__ = ["PAGE"]

_ENTRIES_SHOWN = 50
_USERS_SHOWN = 50
_DIGITS_MAX = 18
_FILTERS = ("kind", "range", "from_", "to")
_CLEARED = dict.fromkeys((*_FILTERS, "after", "entry"))


async def show(look: Look) -> Mapping[str, Any]:
    """Read a user's entries of one moment where a user is chosen, and how the last verification ended."""
    user = look.asked("user")
    problem: NotFound | None = None
    is_unknown = False
    values: Mapping[str, Any] = {}
    if user is not None:
        try:
            values = await _ledger_of(look, user)
        except NoAccount:
            is_unknown = True
        except NotFound as error:
            problem = error
    listed = [] if values else await look.ledger.accounts.page(look.asked("after") or "", _USERS_SHOWN + 1)
    latest = await look.runs.latest()
    return {
        **_choices(look),
        "user": user,
        **told(problem),
        "is_chosen": bool(values),
        "is_unknown": is_unknown,
        "users": [row.user for row in listed[:_USERS_SHOWN]],
        "next": listed[_USERS_SHOWN - 1].user if len(listed) > _USERS_SHOWN else None,
        "verified": await Reports(look.ledger.database, look.settings.project).verified(),
        "run": latest,
        "is_running": latest is not None and latest.outcome is None,
        "every_minutes": look.settings.verify_seconds // 60,
        "may_verify": look.may(WRITERS),
        "may_grant": look.may(MONEY),
        "form_key": new_key(look),
        **values,
    }


async def refund(look: Look) -> str:
    """Give back part of what a call was charged, for a reason that stays in the history."""
    user, call, amount, reason = (
        user_of(look),
        id_of(look.form.get("call")),
        whole(look, "amount", least=1),
        reason_of(look),
    )
    try:
        await look.ledger.accounts.refund(user, call, amount, reason=reason, key=key_of(look))
    except InvalidInput:
        raise await _too_much(look, user, call) from None
    return look.url("/ledger", user=user, notice="refunded")


async def void(look: Look) -> str:
    """Give back all that a call was charged and was not given back yet, its tokens and its money."""
    user, call, reason = user_of(look), id_of(look.form.get("call")), reason_of(look)
    try:
        await look.ledger.accounts.void(user, call, reason=reason, key=key_of(look))
    except InvalidInput:
        raise await _too_much(look, user, call) from None
    except IdempotencyConflict:
        # Where somebody else did it first, for a reason of their own, no word of keys says what happened to the call.
        if (left := await _too_much(look, user, call)).wrong == "nothing_left":
            raise left from None
        raise
    return look.url("/ledger", user=user, notice="voided")


async def _too_much(look: Look, user: str, call: UUID) -> Wrong:
    """Say how much of a call is left to give back: all else that can be wrong with a form was looked at before."""
    found = await Reports(look.ledger.database, look.settings.project).explain(call, user=user)
    if found.net_tokens <= 0:
        return Wrong("nothing_left")
    return Wrong("too_much_back", count=found.net_tokens, left=look.formats.number(found.net_tokens))


async def verify(look: Look) -> str:
    """Begin a verification of what moved since the last one. It goes on by itself, whoever looks."""
    return await _begun(look, is_full=False)


async def verify_full(look: Look) -> str:
    """Begin a verification of everything."""
    return await _begun(look, is_full=True)


async def _ledger_of(look: Look, user: str) -> Mapping[str, Any]:
    asset, kind, window, seq = (
        files.asset_of(look),
        chosen_of(EntryKind, look.asked("kind")),
        window_asked(look),
        _number(look, "entry"),
    )
    formats, is_tokens = look.formats, asset is Asset.TOKENS
    between = None if window is None else (window.start, window.end)
    async with snapshot(look.ledger.database, look.settings.project) as book:
        balances = await history.balances_of(book, user)
        entries = await history.entries_of(
            book,
            user,
            asset,
            kind=kind,
            between=between,
            before=_number(look, "after"),
            limit=_ENTRIES_SHOWN + 1,
        )
        statement = None if between is None else await history.statement_of(book, user, asset, between)
        traced = None if seq is None else await history.trace(book, user, asset, seq)
    return {
        "as_of": book.as_of,
        "chosen_asset": asset.name.lower(),
        "assets": [each.name.lower() for each in Asset if each in balances],
        "balance": balances.get(asset),
        "statement": statement,
        "entries": entries[:_ENTRIES_SHOWN],
        "next": entries[_ENTRIES_SHOWN - 1].seq if len(entries) > _ENTRIES_SHOWN else None,
        "traced": traced,
        "may_correct": look.may(MONEY) and traced is not None and bool(traced.calls),
        "amount": formats.number if is_tokens else formats.money_exact,
        "short": formats.compact if is_tokens else formats.money,
    }


def _choices(look: Look) -> Mapping[str, Any]:
    """Give what the form of filters shows. They hold for everybody's entries, too, which the file of them all gives."""
    has_days = look.asked("from") is not None or look.asked("to") is not None
    return {
        "range": look.asked("range") or (CUSTOM if has_days else ""),
        "ranges": [*(each.value for each in Preset), CUSTOM],
        "kinds": [each.value for each in EntryKind],
        "assets": [each.name.lower() for each in Asset],
        "chosen_asset": files.asset_of(look).name.lower(),
        "held": _held(look),
        "zones": zones_of(look),
        "clearing": _CLEARED,
        "clear": look.url(**_CLEARED) if any(look.asked(name.rstrip("_")) for name in _FILTERS) else "",
    }


def _held(look: Look) -> str:
    """Say which entries a file holds: of which time and asset, and of which kind where one is chosen."""
    t, moment, window = look.texts, look.formats.moment, window_asked(look)
    said = [t("ledger.whole_time")]
    if window is not None:
        between = t("user.between", from_=moment(window.start), to=moment(window.end))
        said = [between, t("in_zone", zone=look.formats.zone)]
    if kind := chosen_of(EntryKind, look.asked("kind")):
        said.append(t.known("entry", kind.value))
    said.append(t(f"ledger.asset.{files.asset_of(look).name.lower()}"))
    return " · ".join(said)


async def _begun(look: Look, *, is_full: bool) -> str:
    await look.runs.begin(is_full=is_full, key=key_of(look))
    return look.url("/ledger", user=look.form.get("user") or None, notice="verifying")


def _number(look: Look, name: str) -> int | None:
    text = look.asked(name)
    if text is None:
        return None
    if not (text.isdecimal() and text.isascii() and len(text) <= _DIGITS_MAX and int(text) > 0):
        raise Wrong("id", text=text[:40])
    return int(text)


PAGE = Page(
    "/ledger",
    "ledger",
    READERS,
    show,
    {
        "refund": Action(refund, MONEY),
        "void": Action(void, MONEY),
        "verify": Action(verify, WRITERS),
        "verify-full": Action(verify_full, WRITERS),
    },
    files={"entries": files.entries},
    lives=True,
)
