"""One call: why it was charged, from Google's own words over the price of each part to the entry in the ledger."""

import json
from collections.abc import Mapping
from typing import Any

from jangbu.dashboard.done import done, key_of
from jangbu.dashboard.fields import id_of
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import OPERATIONS, READERS, Action, Page
from jangbu.domain.flow import Receipt
from jangbu.metering.postings import account_target
from jangbu.metering.reports import Reports
from jangbu.providers.gemini.parse import parse

__all__ = ["PAGE"]

_TEST_USER = "jangbu-test"
_TEST_SERVICE = "test"
_TEST_ANSWER = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "test"}]}}],
    "usageMetadata": {"promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0},
    "modelVersion": "gemini-2.5-flash",
}


async def show(look: Look) -> Mapping[str, Any]:
    """Explain the call."""
    call = id_of(look.asked("call"))
    reports = Reports(look.ledger.database, look.settings.project)
    found = await reports.explain(call, look.ledger.pricing.lines, user=look.asked("user"))
    return {
        "found": found,
        "record": found.record,
        "evidence": _readable(found.evidence),
        "metadata": None if found.record.metadata is None else _readable(json.loads(found.record.metadata)),
    }


async def record_test(look: Look) -> str:
    """Record a call that was never made, to see that records arrive. It used nothing, so it changes nobody's balance,
    no cost, and nothing that is compared with Google's bill.

    The record goes its own way, so that it is durable whatever becomes of the audit's line, which follows it.
    """
    key = key_of(look)
    await look.ledger.accounts.create(_TEST_USER)
    answer = parse(json.dumps({**_TEST_ANSWER, "responseId": key}).encode())
    receipt = await look.ledger.record(_TEST_USER, _TEST_SERVICE, answer, call_key=key, metadata={"test": True})

    async def act() -> Receipt:
        return receipt

    await done(
        look, "test_record.make", account_target(_TEST_USER), act,
        lambda made: None if made.replayed else {"call": str(made.id)},
    )  # fmt: skip
    return look.url("/call", call=receipt.id, user=_TEST_USER, notice="test_recorded")


def _readable(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


PAGE = Page("/call", "call", READERS, show, {"record-test": Action(record_test, OPERATIONS)}, in_menu=False)
