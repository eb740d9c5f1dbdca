"""A test record: a call that was never made, to see that records arrive.

It used nothing, so it changes nobody's balance, no cost, and nothing that is compared with the provider's bill.
"""

import json

from jangbu.domain.flow import Receipt
from jangbu.metering.audit import Change
from jangbu.metering.meter import Metering
from jangbu.metering.once import note_once
from jangbu.metering.postings import account_target
from jangbu.providers.gemini.parse import parse

__all__ = ["TRIAL_USER", "record_trial"]

TRIAL_USER = "jangbu-test"
_SERVICE = "test"
_ANSWER = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "test"}]}}],
    "usageMetadata": {"promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0},
    "modelVersion": "gemini-2.5-flash",
}


async def record_trial(ledger: Metering, *, key: str) -> Receipt:
    """Record a call that was never made, once for its key."""
    await ledger.accounts.create(TRIAL_USER)
    answer = parse(json.dumps({**_ANSWER, "responseId": key}).encode())
    receipt = await ledger.record(TRIAL_USER, _SERVICE, answer, call_key=key, metadata={"test": True})
    change = Change("test_record.make", account_target(TRIAL_USER), after={"call": str(receipt.id)})
    await note_once(ledger.database, ledger.audit, ledger.accounts.id_of(TRIAL_USER), receipt.id, change)
    return receipt
