"""Every alert has its sentence, in both languages, that says what to do."""

import string
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from jangbu.alerts.texts import LANGUAGES, Language, text_of
from jangbu.domain.alerts import RULES, Alert, Condition, Phase

FACTS: dict[str, Any] = {
    "cause": "PostgreSQL does not answer",
    "failures": 1234,
    "seconds": 60,
    "records": 12_000,
    "findings": 3,
    "call": "0190",
    "models": "gemini-9",
    "holds": 2,
    "tokens": 5_000,
    "mismatches": 4,
    "invariants": "balances",
    "month": "2026-12",
    "days": 9,
    "per_cent": 81,
    "cost_nano": 812_349_999_999,
    "budget_nano": 1_000 * 10**9,
    "unpriced": 1,
}
TOLD = [(each, phase) for each, rule in RULES.items() for phase in (Phase if rule.is_of_node else (Phase.BEGAN,))]
"""Only recording lasts and ends."""


def alert(condition: Condition, phase: Phase, **facts: int | str) -> Alert:
    return Alert(uuid4(), "shop", condition, phase, condition.value, "host", datetime.now(UTC), facts)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("condition", "phase"), TOLD)
def test_every_alert_is_one_sentence_with_all_its_facts(condition: Condition, phase: Phase, language: Language) -> None:
    text = text_of(alert(condition, phase, **FACTS), language)
    assert not set("?{}\n") & set(text)
    assert text.endswith(".")
    has_korean = any("가" <= character <= "힣" for character in text)
    assert has_korean == (language == "ko")


def test_numbers_are_grouped_and_a_missing_fact_loses_no_alert() -> None:
    text = text_of(alert(Condition.HOLD_LEAK, Phase.BEGAN, holds=12_000), "en")
    assert text.startswith("Nothing ends 12,000 holds (?)")
    assert "of 1 call," in text_of(alert(Condition.UNKNOWN_OUTCOME, Phase.BEGAN, findings=1), "en")


def test_money_is_told_in_dollars_and_cents_of_which_none_is_made_up() -> None:
    text = text_of(alert(Condition.BUDGET_NEAR, Phase.BEGAN, **FACTS), "en")
    assert "cost $812.34, 81% of the month's budget of $1,000.00 (1 call without a price)" in text


def test_both_languages_tell_the_same_facts() -> None:
    from jangbu.alerts import texts

    def fields(language: Language) -> dict[object, set[str | None]]:
        return {
            key: {name for _, name, _, _ in string.Formatter().parse(text) if name}
            for key, text in texts._TEXTS[language].items()
        }

    assert fields("en") == fields("ko")
