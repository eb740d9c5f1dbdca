"""What is odd about an answer's usage is told by what it is, in both languages, and why a call's cost is not known."""

import asyncio

import pytest

from jangbu.dashboard.texts import LANGUAGES, Language, texts_of
from jangbu.domain.usage import Anomaly, Surface
from jangbu.metering.meter import Metering
from jangbu.providers.gemini import parse_object
from tests.dashboard.raw import signed_in
from tests.dashboard.site import OWNER, Site

FLASH, UNPRICED = "gemini-2.5-flash", "gemini-9-unpriced"
CANDIDATES = [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}]
COUNTS = {"promptTokenCount": 9, "candidatesTokenCount": 1}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("flag", Anomaly)
def test_each_flag_has_a_name_and_a_sentence(language: Language, flag: Anomaly) -> None:
    texts = texts_of(language)
    assert texts(f"flag.{flag.value}").endswith(".")
    assert not texts(f"anomaly.{flag.value}").endswith(".")


async def record(ledger: Metering, **answer: object) -> str:
    """Record an answer; give the address of the page of its call."""
    await ledger.accounts.create("odd", key="odd")
    usage = parse_object({"modelVersion": FLASH, **answer}, surface=Surface.GENERATE_CONTENT)
    return f"/call?call={(await ledger.record('odd', 'text', usage)).id}&user=odd"


@pytest.mark.asyncio(loop_scope="session")
async def test_a_finding_says_what_is_odd_about_the_usage(own_site: Site, ledger: Metering) -> None:
    await record(ledger, candidates=CANDIDATES)
    await record(ledger, candidates=CANDIDATES, usageMetadata={**COUNTS, "totalTokenCount": 8})
    visitor = await asyncio.to_thread(signed_in, own_site, OWNER)
    english = visitor.get("/alerts?user=odd").text
    assert "usage in doubt: Google reported no usage, so nothing is charged" in english
    assert "usage in doubt: the total that Google reported is not the sum of its parts" in english
    korean = visitor.get("/alerts?user=odd", accept_language="ko").text
    assert "사용량 이상: Google이 사용량을 보고하지 않아" in korean
    assert "사용량 이상: Google이 보고한 합계가 항목의 합과 달라" in korean


@pytest.mark.asyncio(loop_scope="session")
async def test_a_call_says_why_its_cost_is_not_known(own_site: Site, ledger: Metering) -> None:
    visitor = await asyncio.to_thread(signed_in, own_site, OWNER)
    silent = visitor.get(await record(ledger, candidates=CANDIDATES)).text
    assert "What this call cost is not known:" in silent
    assert "its counts are missing or unusable" in silent
    counted = {**COUNTS, "totalTokenCount": 10}
    unheard_of = visitor.get(await record(ledger, candidates=CANDIDATES, usageMetadata=counted, modelVersion=UNPRICED))
    assert "the model has no price" in unheard_of.text


@pytest.mark.asyncio(loop_scope="session")
async def test_a_blocked_prompts_call_shows_the_block_and_cost_nothing(own_site: Site, ledger: Metering) -> None:
    visitor = await asyncio.to_thread(signed_in, own_site, OWNER)
    text = visitor.get(await record(ledger, promptFeedback={"blockReason": "SAFETY"})).text
    assert '<span class="badge">the prompt was blocked</span>' in text
    assert "This call cost nothing." in text
