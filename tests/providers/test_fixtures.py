"""One small answer for each thing that a surface does, with what must be read from it."""

import json
from pathlib import Path
from typing import Any

import pytest

from jangbu.domain.usage import Source, Surface, Tier
from jangbu.providers import gemini
from jangbu.providers.describe import describe

FIXTURES = Path(__file__).parent / "fixtures"
EXPECTED: dict[str, dict[str, Any]] = json.loads((FIXTURES / "expected.json").read_text())


def without_zeros(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: kept for name, inner in value.items() if (kept := without_zeros(inner)) not in (0, {})}


@pytest.mark.parametrize("name", EXPECTED)
def test_an_answer_is_read_as_expected(name: str) -> None:
    described = describe(gemini.parse((FIXTURES / name).read_bytes()))
    for field, expected in EXPECTED[name].items():
        got = described[field]
        assert (without_zeros(got) if field in ("by_modality", "units") else got) == expected, field


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_described_can_be_written_as_json(name: str) -> None:
    usage = gemini.parse((FIXTURES / name).read_bytes())
    json.dumps([describe(usage), *usage.raw], allow_nan=False)


@pytest.mark.parametrize("name", EXPECTED)
def test_one_byte_at_a_time_changes_nothing(name: str) -> None:
    body = (FIXTURES / name).read_bytes()
    meter = gemini.StreamMeter()
    for at in range(len(body)):
        meter.feed(body[at : at + 1])
    assert meter.finish() == gemini.parse(body)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_record_can_be_restated_from_its_evidence(name: str) -> None:
    usage = gemini.parse((FIXTURES / name).read_bytes())
    again = gemini.restate(
        usage.surface, usage.raw, usage.platform, usage.model, usage.tier, usage.units, source=usage.source
    )
    assert (again.counts, again.by_modality, again.source) == (usage.counts, usage.by_modality, usage.source)


def test_every_file_has_an_expectation() -> None:
    files = {path.name for path in FIXTURES.iterdir()} - {"expected.json"}
    assert files == set(EXPECTED)


def test_every_surface_has_a_fixture() -> None:
    surfaces = {gemini.parse((FIXTURES / name).read_bytes()).surface for name in EXPECTED}
    assert surfaces == set(Surface)


def test_an_invalid_usage_object_is_kept_word_for_word() -> None:
    usage = gemini.parse((FIXTURES / "invalid_float.json").read_bytes())
    assert usage.raw == ({"promptTokenCount": 5.0, "candidatesTokenCount": 2, "totalTokenCount": 7},)


def test_the_members_of_a_batch_are_its_single_answers() -> None:
    usage = gemini.parse((FIXTURES / "batch.json").read_bytes())
    assert [(member.response_id, member.total_tokens, member.tier) for member in usage.members] == [
        ("r13", 57, Tier.BATCH),
        ("r14", 69, Tier.BATCH),
    ]
    assert len(usage.raw) == 2


def test_a_member_of_a_batch_can_be_restated_alone() -> None:
    for member in gemini.parse((FIXTURES / "batch.json").read_bytes()).members:
        again = gemini.restate(
            member.surface, member.raw, member.platform, member.model, member.tier, member.units, source=member.source
        )
        assert (again.counts, again.members) == (member.counts, ())


@pytest.mark.parametrize("model", ["gemini-embedding-001", "text-embedding-005", "text-multilingual-embedding-002"])
def test_embeddings_that_vertex_predicts_are_charged_by_their_statistics(model: str) -> None:
    usage = gemini.parse((FIXTURES / "embeddings_predicted.json").read_bytes(), model=model)
    assert (usage.total_tokens, usage.source, usage.anomalies) == (11, Source.REPORTED, ())


def test_a_prediction_of_which_nobody_knows_the_model_is_not_charged() -> None:
    assert gemini.parse((FIXTURES / "embeddings_predicted.json").read_bytes()).total_tokens == 0


def test_an_embedding_that_reported_nothing_may_be_counted_by_the_provider() -> None:
    silent = gemini.parse((FIXTURES / "embeddings_unreported.json").read_bytes())
    usage = gemini.counted(silent, {"totalTokens": 8})
    assert (usage.source, usage.total_tokens) == (Source.COUNT_TOKENS, 8)


def test_what_the_provider_counted_can_be_restated_from_its_evidence() -> None:
    usage = gemini.counted(gemini.parse((FIXTURES / "embeddings_unreported.json").read_bytes()), {"totalTokens": 8})
    again = gemini.restate(
        usage.surface, usage.raw, usage.platform, usage.model, usage.tier, usage.units, source=usage.source
    )
    assert (again.counts, again.by_modality, again.source) == (usage.counts, usage.by_modality, Source.COUNT_TOKENS)


def test_a_reported_count_is_never_replaced_by_a_counted_one() -> None:
    reported = gemini.parse((FIXTURES / "embeddings.json").read_bytes())
    assert gemini.counted(reported, {"totalTokens": 8}) == reported


def test_the_header_tells_the_tier_where_the_answer_does_not() -> None:
    body = (FIXTURES / "image_out.json").read_bytes()
    assert gemini.parse(body, headers={"X-Gemini-Service-Tier": "PRIORITY"}).tier is Tier.PRIORITY
    assert gemini.parse(body).tier is None


def test_the_model_that_answered_goes_before_the_one_asked_for() -> None:
    assert gemini.parse((FIXTURES / "grounded.json").read_bytes(), model="models/asked").model == "asked"
    assert gemini.parse((FIXTURES / "image_out.json").read_bytes(), model="asked").model == "gemini-2.5-flash-image"
