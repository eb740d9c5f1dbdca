"""A ledger in which everything that somebody else may write was written by somebody who means harm."""

import json

from jangbu.clock import SystemClock, new_id
from jangbu.config import Settings
from jangbu.domain.flow import Bounds, Call, Held, TakeHold
from jangbu.domain.price_book import Meter, Price
from jangbu.metering.meter import Metering
from jangbu.metering.price_changes import with_own
from jangbu.providers.gemini.parse import parse
from jangbu.storage import reports
from jangbu.wiring import open_metering
from tests.dashboard.site import let_in_members

__all__ = ["FORMULAS", "PAYLOADS", "fill"]

PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onfocus=alert(1) autofocus x='",
    "</script><script>alert(1)</script>",
    "<svg/onload=alert(1)>",
    "</title><base href=//evil.example>",
    "javascript:alert(1)",
    "{{7*7}}${7*7}<%=7*7%>",
    "hx-get=/x hx-trigger=load",
)
"""What runs where it is not taken for text."""
FORMULAS = ('=HYPERLINK("http://evil.example")', "+1+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", "＝1+1", '=1,2"3')
"""What a spreadsheet would calculate."""


async def fill(database_url: str) -> str:
    """Write the payloads wherever the app, its users, Google or members may write; give the last call's id."""
    settings = Settings.load(database_url=database_url)
    async with open_metering(settings, delivers=False) as ledger:
        await let_in_members(ledger)
        for payload in (*PAYLOADS, *FORMULAS):
            await _write(ledger, payload)
        [latest] = await reports.calls(ledger.database, ledger.accounts.id_of(PAYLOADS[0]), None, 1)
        return str(latest.id)


async def _write(ledger: Metering, payload: str) -> None:
    await ledger.accounts.create(payload)
    await ledger.accounts.grant(payload, 1_000_000, key=payload, source=payload)
    await ledger.accounts.adjust(payload, -1, key=f"{payload} once more", reason=payload)
    answer = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": payload}]}, "finishReason": payload}],
        # The total fits to nothing, so that there is something to look at.
        "usageMetadata": {"promptTokenCount": 1_000, "candidatesTokenCount": 1_000, "totalTokenCount": 10_000,
                          payload: payload},
        "modelVersion": payload,
        "responseId": payload,
    }  # fmt: skip
    metadata = {payload: {payload: [payload]}, "tags": {payload: payload, "feature": payload}}
    await ledger.record(payload, payload, parse(json.dumps(answer).encode()), metadata=metadata)
    hold = new_id(SystemClock())
    call = Call(hold, payload, payload, payload, Bounds(0, 0, output_chosen=True))
    assert await ledger.execute(TakeHold(call, 0, 1_000, 1_000)) == Held(1_000)
    await ledger.holds.mark_unknown(ledger.accounts.id_of(payload), hold, payload)
    price = Price(payload.replace("*", ""), Meter.INPUT, 1_000, payload, note=payload)
    await ledger.pricing.change(with_own(price), payload)
