"""What is refused on a Korean page is told in Korean: what is wrong, and what to do instead."""

import re

import pytest
from playwright.async_api import expect

from tests.dashboard.conftest import Opens
from tests.dashboard.raw import Visitor, asked_of, signed_in
from tests.dashboard.site import OWNER, VIEWER, Site

ALERT = re.compile(r'<p role="alert">(.*?)</p>', re.DOTALL)
SENTENCE = re.compile(r"[A-Za-z']{2,}\s+[A-Za-z']{2,}")
"""Two words side by side: a name, such as that of a time zone, stands alone."""
TAKEN = "-99,999,999,999,999"


def said(text: str) -> str:
    """Give what an alert says, without the number of the request, which is no word."""
    [alert] = ALERT.findall(text)
    assert "lang=" not in alert
    return " ".join(re.sub(r"<small>.*?</small>|<[^>]*>", "", alert).split())


def told_in_korean(text: str) -> str:
    what = said(text)
    assert re.search("[가-힣]", what)
    assert SENTENCE.search(what) is None, what
    return what


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/user?user=nobody", "“nobody” 사용자가 없습니다"),
        ("/?zone=Mars/X", "“Mars/X”은(는) 시간대가 아닙니다"),
        ("/user?user=kim&zone=Mars/X", "“Mars/X”은(는) 시간대가 아닙니다"),
        ("/nothing", "이런 페이지는 없습니다"),
        ("/user/nothing.csv", "이런 페이지는 없습니다"),
        ("/call?call=0192f3a0-0000-7000-8000-000000000001&user=kim", "목록에서 다시 골라"),
        ("/ledger?user=kim&entry=99999999", "목록에서 다시 골라"),
        ("/?" + "&".join(f"a{number}=1" for number in range(150)), "필터를 줄여"),
    ],
    ids=lambda each: each[:30],
)
def test_an_address_that_shows_nothing_is_told_in_korean(site: Site, path: str, words: str) -> None:
    assert words in told_in_korean(signed_in(site, OWNER).get(path, accept_language="ko").text)


def test_who_may_not_is_told_so_in_korean(site: Site) -> None:
    viewer = signed_in(site, VIEWER)
    assert "볼 수 없는 페이지" in told_in_korean(viewer.get("/settings/members", accept_language="ko").text)
    fields = {"user": "kim", "amount": "1", "key": "k"}
    assert "할 수 없는 일" in told_in_korean(viewer.send("/user/grant", fields, accept_language="ko").text)
    owner = signed_in(site, OWNER)
    other = owner.send("/user/grant", fields, accept_language="ko", sec_fetch_site="cross-site")
    assert "다른 사이트" in told_in_korean(other.text)
    stale = Visitor(site, owner.token, "x").send("/user/grant", fields, accept_language="ko")
    assert "이 로그인에 맞는 양식이 아닙니다" in told_in_korean(stale.text)


def test_what_would_take_more_than_was_granted_is_told_in_korean(site: Site) -> None:
    fields = {"user": "kim", "delta": TAKEN, "reason": "r", "key": "taken"}
    answer = signed_in(site, OWNER).send("/user/adjust", fields, accept_language="ko")
    assert (answer.status, "많이 차감할 수는 없습니다" in told_in_korean(answer.text)) == (400, True)


@pytest.mark.parametrize(
    "answer", ["garbage", "{}", "", " ", '{"error": {"code": 503, "message": "overloaded"}}', '{"candidates": []}']
)
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("ko", ("사용량을 읽을 수 없습니다", "(usageMetadata)까지", "“응답 없음: 예약 풀기”")),
        ("en", ("No usage can be read", "(usageMetadata)", "“There was no answer: give the tokens back”")),
    ],
)
def test_an_answer_that_charges_nothing_is_told_with_what_is_missing_and_the_other_way(
    site: Site, language: str, words: tuple[str, ...], answer: str
) -> None:
    fields = {"hold": "0192f3a0-0000-7000-8000-000000000001", "answer": answer, "key": "unusable"}
    refused = signed_in(site, OWNER).send("/alerts/charge", fields, accept_language=language)
    assert refused.status == 400
    what = told_in_korean(refused.text) if language == "ko" else said(refused.text)
    assert [each for each in words if each not in what] == []


def test_why_something_was_found_is_told_in_korean(site: Site) -> None:
    text = signed_in(site, OWNER).get("/alerts?kind=unpriced", accept_language="ko").text
    assert "모델의 가격을 몰라" in text
    assert "no price is known" not in text


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/?user=nobody&range=7d", {"range": "7d"}),
        ("/models?user=nobody&model=gemini-2.5-pro&metric=calls", {"metric": "calls"}),
        ("/cost?user=nobody&tag=feature&compare=1", {"tag": "feature", "compare": "1"}),
        ("/ledger?user=nobody&kind=grant", {}),
    ],
)
@pytest.mark.asyncio(loop_scope="session")
async def test_a_user_whom_nobody_knows_matches_nothing_and_is_cleared_again(
    opens: Opens, path: str, kept: dict[str, str]
) -> None:
    page = await opens(path, language="ko")
    await expect(page.locator("[role=alert]")).to_have_count(0)
    nothing = page.locator(".nothing").filter(has_text="이 필터에 맞는 기록이 없습니다.")
    assert await page.locator("form.filters [name=user]").input_value() == "nobody"
    await nothing.get_by_role("link", name="필터 지우기").click()
    await page.wait_for_url(lambda url: "nobody" not in url)
    assert asked_of(page.url) == kept
    await expect(page.locator("form.filters [name=user]")).to_have_value("")
