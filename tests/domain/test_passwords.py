"""Passwords: what is refused and why, without a list of common ones."""

import time
import unicodedata

import pytest

from jangbu.domain.passwords import Weakness, spelled, weakness

NAME = "kim.minsu@shop.example"


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "내 고양이는 밤에만 운다",
        "Tr0ub4dor&3xx",
        "k8#dkQ2mzP0w",
        "korea-seoul-2026",
        "오이 냉국 한 그릇 더",
    ],
)
def test_a_password_of_some_words_or_of_chance_is_taken(password: str) -> None:
    assert weakness(password, NAME) is None


@pytest.mark.parametrize(
    "password",
    [
        *("passwordpassword", "P@ssw0rd1234", "letmein12345", "jangbu-admin1", "Welcome2026!!"),
        *("123456789012", "abcdefghijkl", "qwertyuiop12", "zyxwvutsrqpo", "aaaaaaaaaaaa", "abcabcabcabc"),
        *("hunter2hunter2", "비밀번호비밀번호비밀번호", "            "),
    ],
)
def test_words_runs_and_repetitions_count_as_one_character_each(password: str) -> None:
    assert weakness(password, NAME) is Weakness.COMMON


def test_ones_own_name_is_no_password() -> None:
    assert weakness("kimminsu2024!", NAME) is Weakness.COMMON
    assert weakness("kimminsu2024!", "lee@other.example") is None


@pytest.mark.parametrize(
    ("password", "found"),
    [
        ("k8#dkQ2mzP0", Weakness.TOO_SHORT),
        ("", Weakness.TOO_SHORT),
        ("ab3 " * 256 + "x", Weakness.TOO_LONG),
        ("가나다" * 114, Weakness.TOO_LONG),
        ("k8#dkQ2mz\x00P0w", Weakness.UNREADABLE),
        ("k8#dkQ2mz\ud800P0w", Weakness.UNREADABLE),
    ],
)
def test_what_cannot_be_kept_is_told_apart(password: str, found: Weakness) -> None:
    assert weakness(password, NAME) is found


def test_the_same_letters_are_one_password_however_a_machine_sends_them() -> None:
    password = "내 고양이는 밤에만 운다"
    apart = unicodedata.normalize("NFD", password)
    assert apart != password
    assert spelled(apart) == spelled(password)
    assert weakness(unicodedata.normalize("NFD", "오이냉국한그릇"), NAME) is Weakness.TOO_SHORT


def test_a_password_that_is_made_to_be_slow_to_judge_is_not() -> None:
    began = time.perf_counter()
    for password in ("ab" * 500 + "c", "a" * 1_023 + "b", "".join(chr(97 + i * i % 26) for i in range(1_024))):
        weakness(password, "x" * 200)
    assert time.perf_counter() - began < 1
