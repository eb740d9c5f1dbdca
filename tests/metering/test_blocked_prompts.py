"""A prompt that Google blocks is an outcome: it stays as a flag on the record, and nobody has to look into it."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from jangbu.config import Settings
from jangbu.domain.usage import Surface
from jangbu.metering.inbox import Inbox
from jangbu.metering.meter import Metering
from jangbu.providers.gemini import parse_object
from jangbu.storage import reports, webhooks
from jangbu.wiring import open_metering

MODEL = "gemini-2.5-flash"
BLOCKED = {"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": MODEL}
COUNTED_AND_BLOCKED = {**BLOCKED, "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9}}
MISMATCHED_AND_BLOCKED = {**BLOCKED, "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 8}}


@pytest.fixture
async def metering(database_url: str) -> AsyncIterator[Metering]:
    async with open_metering(Settings.load(database_url=database_url)) as opened:
        await opened.accounts.create("kim")
        yield opened


async def found(metering: Metering, answer: Mapping[str, Any]) -> list[tuple[str, str]]:
    usage = parse_object(answer, surface=Surface.GENERATE_CONTENT)
    receipt = await metering.record("kim", "chat", usage)
    assert (receipt.charged_tokens, receipt.cost_nano) == (0, 0)
    [call] = await reports.calls(metering.database, metering.accounts.id_of("kim"), None, 1)
    assert "blocked" in call.anomalies, "whoever looks at the call sees why it says nothing"
    inbox = Inbox(metering.database, metering.accounts, project="default")
    return [(each.kind, each.detail) for each in await inbox.page()]


@pytest.mark.parametrize("answer", [BLOCKED, COUNTED_AND_BLOCKED])
async def test_a_blocked_prompt_is_nothing_to_look_into(metering: Metering, answer: Mapping[str, Any]) -> None:
    assert await found(metering, answer) == []
    assert await webhooks.make_of_findings(metering.database, "default", 100) == 0


async def test_what_does_not_add_up_in_a_blocked_prompts_usage_is_found_without_the_block(metering: Metering) -> None:
    assert await found(metering, MISMATCHED_AND_BLOCKED) == [("anomaly", "total_mismatch")]
