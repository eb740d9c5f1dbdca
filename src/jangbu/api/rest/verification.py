"""Verification: how the last one ended, one that is asked for, and what it found."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from fastapi import Response

from jangbu.api.rest.asked import Ask
from jangbu.api.rest.declared import READERS, WRITERS, Routes
from jangbu.api.rest.values import Answer, Body, Flag, Number, Part, example
from jangbu.storage.verification_runs import Outcome, RunRow

__all__ = ["verification"]

verification = Routes("verification")

_AT = "2026-01-31T09:00:00Z"
_VERIFIED = {
    "verified_to": _AT,
    "full_at": _AT,
    "started_at": _AT,
    "ended_at": _AT,
    "is_full": True,
    "accounts": 10,
    "records": 1_000,
    "mismatches": 0,
    "full_mismatches": 0,
}


_RUN = {
    "id": "0192f3a0-0000-7000-8000-000000000007",
    "state": "running",
    "is_full": True,
    "started_at": _AT,
    "ended_at": None,
    "failure": None,
    "ok": None,
    "since": None,
    "accounts": 0,
    "records": 0,
    "checked": [],
    "mismatches": [],
    "cut": [],
}


class Order(Body):
    """What is verified: everything, or what moved since the last time."""

    model_config = example(full=True)
    full: Flag = True


class Verified(Part):
    """How a verification ended: how many figures did not add up, now and when everything was last looked at."""

    verified_to: datetime | None
    full_at: datetime | None
    started_at: datetime
    ended_at: datetime
    is_full: bool
    accounts: Number
    records: Number
    mismatches: Number
    full_mismatches: Number


class LastVerification(Answer):
    """The last verification, null where none has ended yet; ``ok`` tells that nothing is known not to add up."""

    model_config = example(schema_version=1, ok=True, verification=_VERIFIED)
    ok: bool | None
    verification: Verified | None


class MismatchFacts(Part):
    """One figure that is not what it should be; of everybody where it has no account."""

    invariant: str
    account_id: UUID | None
    user: str | None
    what: str
    expected: Number | str | None
    found: Number | str | None


class RunFacts(Part):
    """A verification that was asked for. ``ok`` is null until it has ended with a result.

    One without a result has ``failed``, and ``failure`` says why: ``lost`` where its process died. ``cut`` names the
    invariants of which only the first mismatches are listed.
    """

    id: UUID
    state: Literal["running", "ended", "failed"]
    is_full: bool
    started_at: datetime
    ended_at: datetime | None
    failure: str | None
    ok: bool | None
    since: datetime | None
    accounts: Number
    records: Number
    checked: list[str]
    mismatches: list[MismatchFacts]
    cut: list[str]


class StartedRun(Answer, RunFacts):
    """A verification that is under way; ``replayed`` tells that it was begun before with this key."""

    model_config = example(schema_version=1, **_RUN, replayed=False)
    replayed: bool


class ShownRun(Answer, RunFacts):
    """A verification and what it found."""

    model_config = example(
        schema_version=1,
        **_RUN
        | {
            "state": "ended",
            "ended_at": _AT,
            "ok": False,
            "accounts": 10,
            "records": 1_000,
            "checked": ["balances"],
            "mismatches": [
                {
                    "invariant": "balances",
                    "account_id": "0a9c8c3b-6f43-5d2d-9f2a-0c6b8d2b7f11",
                    "user": "kim",
                    "what": "tokens granted, by the entries",
                    "expected": 1_000_000,
                    "found": 1_000_001,
                }
            ],
        },
    )


@verification.post("/verification", roles=WRITERS, answer=StartedRun, status=202, also=(200,))
async def start(ask: Ask, body: Order, response: Response) -> dict[str, Any]:
    """Begin to recompute every figure of the book, in the background; one is under way at a time."""
    run, replayed = await ask.parts.runs.begin(is_full=body.full, key=ask.once)
    response.status_code = 200 if replayed else 202
    return {**_run_facts(run), "replayed": replayed}


@verification.get("/verification/{run}", roles=READERS, answer=ShownRun)
async def show_run(ask: Ask, run: UUID) -> dict[str, Any]:
    """Show a verification that was asked for, and once it has ended what it found."""
    return _run_facts(await ask.parts.runs.find(run))


@verification.get("/verification", roles=READERS, answer=LastVerification)
async def show(ask: Ask) -> dict[str, Any]:
    """Show how the last verification of the book ended."""
    found = await ask.reports.verified()
    if found is None:
        return {"ok": None, "verification": None}
    facts = {name: value for name, value in asdict(found).items() if name != "age_seconds"}
    return {"ok": found.known_mismatches == 0, "verification": facts}


def _run_facts(run: RunRow) -> dict[str, Any]:
    facts = {name: value for name, value in asdict(run).items() if name != "outcome"}
    if run.outcome is None:
        return {**facts, "state": "running", "ok": None, **asdict(Outcome())}
    has_result = run.outcome.failure is None
    return {
        **facts,
        "state": "ended" if has_result else "failed",
        "ok": not run.outcome.mismatches if has_result else None,
        **asdict(run.outcome),
    }
