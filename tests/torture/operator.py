"""An operator who settles unknown holds by evidence while everything dies around them.

So evidence meets late records from spools, and processes that were only slow. What nobody answered is left for the end:
who has not answered yet may still do so. What an app has whole is left alone, too: its record must be there or come
without anybody's help, and evidence would make good what was lost.
"""

import asyncio
import json
from collections.abc import Container, Mapping
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from jangbu.config import Settings
from jangbu.domain.flow import Bounds, Call, Settle
from jangbu.errors import DatabaseUnreachable, JangbuError
from jangbu.metering.meter import Metering
from jangbu.providers.gemini import parse
from jangbu.storage import holds
from jangbu.wiring import open_metering
from tests.torture.facts import Given, given_answers
from tests.torture.tally import Tally
from tests.torture.terms import Terms

__all__ = ["operate", "settle"]

_PAUSE_SECONDS = 4
_PAGE = 1_000


async def operate(terms: Terms, answers: Path, whole: Container[str], tally: Tally) -> None:
    """Look for unknown holds again and again until cancelled; ``whole`` are the answers that apps have by now."""
    settings = Settings.load(**terms.settings(0))
    while True:
        # The server may be restarted at the moment at which the book is opened.
        with suppress(DatabaseUnreachable):
            async with open_metering(settings, delivers=False) as metering:
                await _operate(metering, settings, answers, whole, tally)
        await asyncio.sleep(_PAUSE_SECONDS)


async def settle(metering: Metering, project: str, hold: UUID, answer: Given) -> bool:
    """Settle a hold by the answer that was given; tell whether it was still there."""
    found = await holds.find(metering.database, project, hold)
    if found is None:
        return False
    _, user, service, model = found
    call = Call(hold, user, service, model, Bounds(input_most=0, output_most=0, output_chosen=True))
    await metering.execute(Settle(call, parse(_evidence(answer))))
    return True


async def _operate(metering: Metering, settings: Settings, answers: Path, whole: Container[str], tally: Tally) -> None:
    while True:
        await asyncio.sleep(_PAUSE_SECONDS)
        given = await asyncio.to_thread(given_answers, answers)
        by_call = {each.call: each for each in given if each.answer not in whole}
        with suppress(JangbuError, OSError):
            await _settle_some(metering, settings, by_call, tally)


async def _settle_some(
    metering: Metering, settings: Settings, by_call: Mapping[UUID | None, Given], tally: Tally
) -> None:
    for hold in await metering.holds.page(None, ["unknown"], _PAGE):
        answer = by_call.get(hold.id)
        if answer is not None and await settle(metering, settings.project, hold.id, answer):
            tally.orphans += 1
            tally.resolved["settled meanwhile"] += 1


def _evidence(answer: Given) -> bytes:
    return json.dumps(
        {
            "candidates": [{"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "STOP"}],
            "usageMetadata": dict(answer.usage),
            "modelVersion": answer.model,
            "responseId": answer.answer,
        }
    ).encode()
