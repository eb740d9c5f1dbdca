"""Every recorded answer is read to the token, however its bytes arrive."""

import random
from dataclasses import asdict

import pytest

from jangbu.domain.usage import Source, Usage
from jangbu.providers import gemini
from tests.providers.corpus import ABSENT, Recorded, recorded

pytestmark = ABSENT

RECORDED = recorded()
STREAMS = [answer for answer in RECORDED if answer.is_stream]
CUTS_PER_FILE = 4

# Prefixes that nothing in their bytes tells from a whole answer. 0169 calls a server-side tool with finishReason STOP
# and goes on; 0395 (edited) says STOP in every chunk; 0298 and 0337 are Live sessions cut between two turns.
INDISTINGUISHABLE = {"0169.sse": 1, "0395.sse": 6, "0298.json": 2, "0337.json": 10}


def counts_of(usage: Usage) -> dict[str, int | None] | None:
    if usage.source is Source.NONE:
        assert usage.total_tokens == 0
        assert usage.counts.summed == 0
        return None
    counts = asdict(usage.counts)
    if usage.units.cache_storage_tokens:
        counts["cache_storage"] = usage.units.cache_storage_tokens
    return counts


@pytest.mark.parametrize("answer", RECORDED, ids=lambda answer: answer.name)
def test_counts_are_those_that_google_reported(answer: Recorded) -> None:
    usage = gemini.parse(answer.body)
    assert counts_of(usage) == answer.expected
    assert usage.source is (Source.NONE if answer.expected is None else Source.REPORTED)


@pytest.mark.parametrize("answer", RECORDED, ids=lambda answer: answer.name)
def test_bytes_may_be_cut_anywhere(answer: Recorded) -> None:
    body, whole = answer.body, gemini.parse(answer.body)
    chance = random.Random(answer.name)
    for _ in range(CUTS_PER_FILE):
        edges = sorted(chance.sample(range(len(body) + 1), min(chance.randint(1, 40), len(body))))
        meter = gemini.StreamMeter()
        for start, end in zip([0, *edges], [*edges, len(body)], strict=True):
            meter.feed(body[start:end])
        assert meter.finish() == whole


@pytest.mark.parametrize("answer", STREAMS, ids=lambda answer: answer.name)
def test_a_stream_that_breaks_off_is_never_taken_as_whole(answer: Recorded) -> None:
    taken_as_whole = 0
    for prefix in answer.prefixes():
        usage = gemini.parse(prefix)
        assert gemini.parse(prefix, complete=False).source in (Source.PARTIAL, Source.NONE)
        if usage.source is Source.REPORTED and counts_of(usage) != answer.expected:
            taken_as_whole += 1
    assert taken_as_whole <= INDISTINGUISHABLE.get(answer.name, 0)


@pytest.mark.parametrize("answer", RECORDED, ids=lambda answer: answer.name)
def test_a_record_can_be_restated_from_its_evidence(answer: Recorded) -> None:
    usage = gemini.parse(answer.body, model=answer.model)
    again = gemini.restate(
        usage.surface, usage.raw, usage.platform, usage.model, usage.tier, usage.units, source=usage.source
    )
    assert (again.counts, again.by_modality, again.total_tokens) == (
        usage.counts,
        usage.by_modality,
        usage.total_tokens,
    )


@pytest.mark.parametrize("answer", RECORDED, ids=lambda answer: answer.name)
def test_no_modality_is_lost_or_invented(answer: Recorded) -> None:
    usage = gemini.parse(answer.body)
    for split, count in (
        (usage.by_modality.prompt, usage.counts.prompt),
        (usage.by_modality.cached, usage.counts.cached),
        (usage.by_modality.tool, usage.counts.tool),
        (usage.by_modality.candidates, usage.counts.candidates),
    ):
        assert sum(asdict(split).values()) == count
