"""Every recorded answer goes through the book and verifies: counts from its evidence, cost from its price book."""

from jangbu.config import Settings
from jangbu.errors import InvalidAnswer
from jangbu.metering.evidence import restated
from jangbu.metering.reports import Reports
from jangbu.metering.verify import Invariant, Verification
from jangbu.providers import gemini
from jangbu.wiring import open_metering
from tests.providers.corpus import ABSENT, recorded


@ABSENT
async def test_every_recorded_answer_verifies_and_explains_itself(database_url: str) -> None:
    async with open_metering(Settings.load(database_url=database_url)) as metering:
        await metering.accounts.create("kim")
        calls = []
        for answer in recorded():
            try:
                usage = gemini.parse(answer.body, model=answer.model)
                calls.append(await metering.record("kim", "corpus", usage, call_key=answer.name))
            except InvalidAnswer:
                continue

        report = await Verification(metering.database, "default", spools=()).run(
            recompute=metering.pricing.reprice, restate=restated
        )
        reports = Reports(metering.database, "default")
        explained = [await reports.explain(call.id, metering.pricing.lines, user="kim") for call in calls]

    assert report.mismatches == ()
    assert report.checked == tuple(Invariant)
    assert report.records == len(calls) > 200
    for call, explanation in zip(calls, explained, strict=True):
        assert explanation.record.total == call.charged_tokens
        assert explanation.price is not None
        if explanation.record.price_version is not None:
            assert explanation.price.amount_nano == sum(line.amount_nano for line in explanation.price.lines)
            assert explanation.price.amount_nano == call.cost_nano
