"""The texts of the pages: complete in every language, and each one that is asked for is there."""

import json
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import jangbu.alerts.texts
import jangbu.dashboard
from jangbu.dashboard.texts import LANGUAGES, Language, best_language, texts_of
from jangbu.domain.passwords import Weakness
from jangbu.errors import JangbuError

FOLDER = Path(jangbu.dashboard.__file__).parent
ALERTS = Path(jangbu.alerts.texts.__file__)
# A text that is named whole; names that are put together are looked for by their beginning.
NAMED = re.compile(r"""(?:\bt|texts)\(\s*["']([a-z_.0-9]+)["']\s*([,)~])""")
BEGUN = re.compile(r"""(?:\bt|texts)\(\s*["']([a-z_.0-9]+\.)["']\s*~|(?:\bt|texts)\(\s*f["']([a-z_.]+\.)\{""")
GROUPS = re.compile(r"""\.known\(\s*["']([a-z_]+)["']""")
WRONG = re.compile(r"""(?:\b(?:Wrong|Barred|Missing|Used)\(\s*|^ +wrong = )["']([a-z_]+)["']""", re.MULTILINE)
TILES = re.compile(r"""parts\.tile\(\s*["']([a-z_.]+)["']""")

NO_FORM_MEETS = {
    # What the command, the gateway, the API or the SDK alone runs into.
    "alert_undelivered", "backup_failed", "backup_unusable", "data_directory_in_use", "data_directory_unusable",
    "insufficient_balance", "integrity_mismatch", "invalid_metadata", "invalid_settings", "ledger_unreachable",
    "missing_user", "not_configured", "not_offered", "spool_in_use", "token_expired", "too_much_kept",
    "uncounted_input", "upstream_unreachable",
}  # fmt: skip
TOLD_BY_FIGURES = {"limit_reached", "password_refused"}
"""Of these it is said for how long to wait, or what makes a password weak."""


def sources() -> Iterator[tuple[Path, str]]:
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in {".html", ".py"} or path.name == "token-meter.js":
            yield path, path.read_text(encoding="utf-8")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_every_text_and_no_other(language: Language) -> None:
    assert set(texts_of(language).catalogue) == set(texts_of("en").catalogue)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_has_the_same_places_for_values_in_every_language(language: Language) -> None:
    for key, text in texts_of("en").catalogue.items():
        assert places(texts_of(language).catalogue[key]) == places(text), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_says_what_it_says_once(language: Language) -> None:
    for key, text in texts_of(language).catalogue.items():
        assert all("//" not in each for each in ([text] if isinstance(text, str) else text.values())), key


@pytest.mark.parametrize("key", sorted(texts_of("en").catalogue))
def test_korean_texts_are_korean(key: str) -> None:
    text = texts_of("ko").catalogue[key]
    shown = text if isinstance(text, str) else " ".join(text.values())
    # A name that every language has for a figure is no English.
    named = re.sub(r"\{[a-z_]+\}|\bp95\b", "", shown)
    assert re.search("[가-힣]", named) or not re.search("[a-zA-Z]", named), shown


@pytest.mark.parametrize("other", ["홀드", "확보", "가산", "채널", "그쪽", "} 토큰", "0 토큰"])
def test_a_thing_has_one_name_in_korean(other: str) -> None:
    texts = [json.dumps(text, ensure_ascii=False) for text in texts_of("ko").catalogue.values()]
    texts.append(ALERTS.read_text(encoding="utf-8"))
    assert [text for text in texts if other in text] == []


def test_every_text_that_a_page_asks_for_is_there() -> None:
    known = texts_of("en").catalogue
    for path, text in sources():
        for name, after in NAMED.findall(text):
            if after != "~":
                assert name in known, f"{path.name} asks for {name}"
        for begun in groups_of(text):
            assert any(key.startswith(begun) for key in known), f"{path.name} asks for {begun}…"
        for name in TILES.findall(text):
            assert name in known, f"{path.name} has a tile {name}"


def test_whatever_cannot_be_used_is_told_in_words_that_are_there() -> None:
    said = {f"wrong.{name}" for _, text in sources() for name in WRONG.findall(text)}
    said |= {f"weakness.{each.value}" for each in Weakness}
    assert said == {key for key in texts_of("ko").catalogue if key.startswith(("wrong.", "weakness."))}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_error_that_a_form_can_meet_is_told_with_what_to_do(language: Language) -> None:
    texts, codes = texts_of(language), set(codes_of(JangbuError))
    assert codes >= NO_FORM_MEETS
    assert {code for code in codes - NO_FORM_MEETS if not texts.has(f"error.{code}")} == set()
    assert {code for code in codes - NO_FORM_MEETS - TOLD_BY_FIGURES if not texts.has(f"how.{code}")} == set()
    assert texts("alerts.release") in texts("how.invalid_answer"), "the other form is named as it is called"


def codes_of(error: type[JangbuError]) -> Iterator[str]:
    yield error.code
    for each in error.__subclasses__():
        # Errors of a package's own, such as those of the dashboard, bear the codes of those that they are.
        yield from codes_of(each)


def test_every_text_is_asked_for() -> None:
    whole = "\n".join(text for _, text in sources())
    groups = groups_of(whole)
    for key in texts_of("en").catalogue:
        assert f'"{key}"' in whole or f"'{key}'" in whole or any(key.startswith(group) for group in groups), key


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("ko-KR,ko;q=0.9,en;q=0.8", "ko"), ("en-US,en;q=0.9,ko;q=0.8", "en"), ("fr, ko;q=0.3", "ko"), ("fr", "en"),
        ("ko;q=0, en", "en"), ("en;q=0.2, ko;q=0.30", "ko"), ("", "en"), (";;q=x,,", "en"), ("ko;q=9", "en"),
    ],
)  # fmt: skip
def test_a_browser_is_answered_in_the_language_that_it_prefers(accepted: str, language: Language) -> None:
    assert best_language(None, accepted=accepted) == language
    assert best_language("ko", accepted=accepted) == "ko"


def test_a_text_counts_in_the_plural_of_its_language() -> None:
    english, korean = texts_of("en"), texts_of("ko")
    assert english("unpriced_calls", count=1, shown="1") == "1 call has no price"
    assert english("unpriced_calls", count=2, shown="2") == "2 calls have no price"
    assert korean("unpriced_calls", count=1, shown="1") == "1건은 가격 없음"


NEVER_ONE = {
    "bulk.wrong.too_many", "expiring.by", "health.backup.old", "log.none_yet", "models.list_how", "policy.ended.days",
    "policy.hold.seconds", "top.how", "top.no_time", "trend.how", "user.cell.how_sampled", "user.lasts",
    "user.lasts_long", "user.not_lately", "users.spark", "wrong.address", "wrong.bars",
}  # fmt: skip
BESIDE_ANOTHER = {"bulk.grant"}
"""It is the count of something else that chooses the plural."""


def test_what_is_counted_in_english_may_be_one() -> None:
    plural = re.compile(r"\{\w+\} (?:\w+ )?(?:bars|buckets|calls|days|files|lines|seconds|tokens|users|values)\b")
    forms = {key: text if isinstance(text, str) else text["one"] for key, text in texts_of("en").catalogue.items()}
    assert {key for key, text in forms.items() if plural.search(text)} == NEVER_ONE | BESIDE_ANOTHER


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_that_counts_is_asked_for_with_its_count(language: Language) -> None:
    for key, text in texts_of(language).catalogue.items():
        asked = re.compile(rf"""["']{re.escape(key)}["'](?=\s*,)(.{{0,200}})""", re.DOTALL)
        for path, source in sources():
            for after in () if isinstance(text, str) else asked.findall(source):
                assert re.search(r"\bcount\b", after), f"{path.name} asks for {key}"


def groups_of(text: str) -> set[str]:
    return {first or second for first, second in BEGUN.findall(text)} | {f"{name}." for name in GROUPS.findall(text)}


def places(text: Any) -> set[str]:
    forms = [text] if isinstance(text, str) else text.values()
    return {name for form in forms for _, name, _, _ in string.Formatter().parse(form) if name}
