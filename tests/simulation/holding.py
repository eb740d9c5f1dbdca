"""The statements on holds, in memory: the same results as ``hold_*.sql`` and ``finding_close.sql``."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from tests.simulation.tables import TOKENS, Account, Finding, Hold, Row

_KEPT_SECONDS = 400 * 86_400


class Holding:
    """Needs the accounts, the commit number and the clock of a ``Book``."""

    accounts: dict[UUID, Account]
    locked: Collection[UUID]
    commits: int
    seen: int
    """The latest commit when the statement under way began."""

    def seconds(self) -> float:
        raise NotImplementedError

    def hold_take(self, *arguments: Any) -> list[Row]:
        accounts, ids, bases, leasts, mosts, take_alls, services, models, may_have_left, owner, seconds = arguments
        offered: dict[UUID, int] = {}
        spent, before = 0, None
        rows: list[Row] = []
        taken: dict[tuple[UUID, UUID], int] = {}
        sized: list[bool] = []
        for n, account_id in enumerate(accounts):
            account = self.accounts.get(account_id)
            known = None if account is None else self._known(account, ids[n])
            if account is not None and account_id not in offered:
                offered[account_id] = account.balances[TOKENS].available
            offer = -1
            if account is not None and known is None and account.state_at(self.seen) == "active":
                offer = offered[account_id]
            spent = spent if account_id == before else 0
            before = account_id
            remaining = offer - spent
            if take_alls[n]:
                amount = min(mosts[n], remaining)
            else:
                amount = min(mosts[n], max(leasts[n], bases[n] + _half(remaining - bases[n])))
            admitted = leasts[n] <= amount <= remaining
            sized.append(admitted)
            if admitted:
                spent += amount
                assert account is not None
                if self._insert_hold(
                    account,
                    Hold(
                        ids[n],
                        amount,
                        may_have_left,
                        services[n],
                        models[n],
                        owner,
                        self.seconds() + seconds,
                        self.commits,
                    ),
                ):
                    taken[account_id, ids[n]] = amount
            rows.append(
                Row(
                    n=n + 1,
                    amount=None,
                    is_overtaken=False,
                    account_state=None if account is None else account.state_at(self.seen),
                    known_state=None if known is None else known[0],
                    known_amount=None if known is None else known[1],
                    available=remaining if account is None else max(remaining, offered[account_id] - spent),
                )
            )
        for n, row in enumerate(rows):
            row["amount"] = taken.get((accounts[n], ids[n]))
            row["is_overtaken"] = sized[n] and row["amount"] is None
        return rows

    def hold_take_one(self, *arguments: Any) -> list[Row]:
        (row,) = self.hold_take(*([each] for each in arguments[:8]), *arguments[8:])
        return [] if row["amount"] is None else [Row(amount=row["amount"], available=row["available"])]

    def hold_release(self, accounts: Sequence[UUID], ids: Sequence[UUID], reasons: Sequence[str]) -> list[Row]:
        released: set[tuple[UUID, UUID]] = set()
        for account_id, id_, reason in zip(accounts, ids, reasons, strict=True):
            account = self.accounts.get(account_id)
            if account is None:
                continue
            hold = account.holds.get(id_)
            if hold is None or hold.state_at(self.seen) is None:
                hold = self._marked(account, id_)
            if hold is None or not hold.holds:
                continue
            hold.become("released", self.commits)
            hold.reason, hold.closed_at = reason, self.seconds()
            account.balances[TOKENS].held -= hold.amount
            if hold.owner:
                self._resolve(account, id_)
                released.add((account_id, id_))
        return [Row(id=each[1], released=each in released) for each in zip(accounts, ids, strict=True)]

    def _marked(self, account: Account, id_: UUID) -> Hold | None:
        """Leave a mark of nobody's for a hold that the statement does not find; give what stands there then."""
        usage = account.usage.get(id_)
        if usage is not None and usage.born <= self.seen:
            return None
        self._insert_hold(account, Hold(id_, 0, False, "", "", "", self.seconds(), self.commits))
        return account.holds[id_]

    def hold_mark_unknown(self, account_id: UUID, id_: UUID, reason: str) -> list[Row]:
        account = self.accounts.get(account_id)
        hold = None if account is None else account.holds.get(id_)
        usage = None if account is None else account.usage.get(id_)
        is_recorded = usage is not None and usage.born <= self.seen
        if (
            account is not None
            and hold is not None
            and hold.state == "open"
            and self._visible(hold)
            and not is_recorded
        ):
            hold.become("unknown", self.commits)
            hold.reason = reason
            self._find_unknown(account, id_, f"{hold.amount} tokens stay held: {reason}")
        return []

    def hold_extend(self, account_id: UUID, id_: UUID, seconds: int) -> list[Row]:
        account = self.accounts.get(account_id)
        hold = None if account is None else account.holds.get(id_)
        if hold is None or hold.state != "open" or not self._visible(hold):
            return []
        hold.expires_at = max(hold.expires_at, self.seconds() + seconds)
        return [Row(id=id_)]

    def hold_expire(self, limit: int) -> list[Row]:
        now = self.seconds()
        due = [
            (hold.expires_at, account, hold)
            for account in self.accounts.values()
            if account.id not in self.locked
            for hold in account.holds.values()
            if hold.expires_at <= now and self._visible(hold) and hold.state_at(self.seen) == "open"
        ]
        due.sort(key=lambda each: each[0])
        ended: list[Row] = []
        for _, account, hold in due[:limit]:
            if hold.state != "open":
                continue
            usage = account.usage.get(hold.id)
            if usage is not None and usage.born <= self.seen:
                hold.become(None, self.commits)
                state = "settled"
            else:
                state = "unknown" if hold.may_have_left else "expired"
                hold.become(state, self.commits)
                hold.reason = "its time was up"
                hold.closed_at = None if hold.may_have_left else now
            if state == "unknown":
                detail = f"{hold.amount} tokens stay held: the hold's time was up"
                self._find_unknown(account, hold.id, detail)
            else:
                account.balances[TOKENS].held -= hold.amount
            ended.append(Row(account_id=account.id, id=hold.id, amount=hold.amount, state=state))
        return ended

    def hold_purge(self, limit: int) -> list[Row]:
        gone = 0
        before = self.seconds() - _KEPT_SECONDS
        for account in self.accounts.values():
            for hold in account.holds.values():
                is_old = hold.state in ("released", "expired") and (hold.closed_at or 0.0) < before
                if is_old and gone < limit and self._visible(hold):
                    hold.become(None, self.commits)
                    gone += 1
        return [Row(count=gone)]

    def finding_close(self) -> list[Row]:
        closed: list[Row] = []
        for account in self.accounts.values():
            for (id_, kind), finding in account.findings.items():
                usage, hold = account.usage.get(id_), account.holds.get(id_)
                is_shown = kind == "unknown_outcome" and finding.is_open and finding.born <= self.seen
                is_recorded = usage is not None and usage.born <= self.seen
                if is_shown and (is_recorded or hold is None or hold.state_at(self.seen) != "unknown"):
                    finding.is_open = False
                    closed.append(Row(usage_id=id_))
        return closed

    def _known(self, account: Account, id_: UUID) -> tuple[str, int | None] | None:
        hold = account.holds.get(id_)
        state = None if hold is None else hold.state_at(self.seen)
        usage = account.usage.get(id_)
        if usage is not None and usage.born <= self.seen:
            return "settled", usage.hold_amount if hold is None or state is None else hold.amount
        return None if hold is None or state is None else (state, hold.amount)

    def _insert_hold(self, account: Account, hold: Hold) -> bool:
        """Insert a hold on which nobody insists: where the id is there by now, nothing happens."""
        known = account.holds.get(hold.id)
        if known is not None and known.state is not None:
            return False
        hold.versions = [] if known is None else known.versions
        hold.become("open", self.commits)
        account.holds[hold.id] = hold
        account.balances[TOKENS].held += hold.amount
        return True

    def _visible(self, hold: Hold) -> bool:
        """Tell whether the statement finds the row; it then acts on its latest version."""
        return hold.born <= self.seen

    def _find(self, account: Account, id_: UUID, kind: str, detail: str) -> None:
        account.findings.setdefault((id_, kind), Finding(detail, self.commits))

    def _find_unknown(self, account: Account, id_: UUID, detail: str) -> None:
        """Find an unknown outcome, also where one was found and closed before."""
        known = account.findings.get((id_, "unknown_outcome"))
        if known is None or not known.is_open:
            account.findings[id_, "unknown_outcome"] = Finding(detail, self.commits)

    def _resolve(self, account: Account, id_: UUID) -> None:
        finding = account.findings.get((id_, "unknown_outcome"))
        if finding is not None and finding.born <= self.seen:
            finding.is_open = False


def _half(amount: int) -> int:
    """Halve as SQL does, towards zero."""
    return amount // 2 if amount >= 0 else -(-amount // 2)
