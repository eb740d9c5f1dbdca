"""Recording an answer: the answer is given, never a count."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Jangbu

Write = Callable[..., str]


@pytest.fixture
def kim(jangbu: Jangbu) -> Jangbu:
    jangbu.ok("accounts", "create", "김철수")
    jangbu.ok("grant", "김철수", "100000", "--key", "order-1")
    return jangbu


def test_an_answer_is_recorded_and_deducted_once(kim: Jangbu, answer: Write) -> None:
    record = ("record", "김철수", "--service", "대본", "--response", answer(150, 300, 50), "--call-id", "call-1")
    first = kim.json(*record)
    assert (first["charged_tokens"], first["available"], first["replayed"]) == (500, 99_500, False)
    assert (first["model"], first["cost_nano"]) == ("gemini-2.5-flash", 150 * 300 + 350 * 2_500)
    again = kim.json(*record)
    assert (again["id"], again["available"], again["replayed"]) == (first["id"], 99_500, True)
    assert "nothing changed" in kim.ok(*record).out
    other = kim("record", "김철수", "--service", "대본", "--response", answer(1, 1, number=2), "--call-id", "call-1")
    assert other.code == 1
    assert "another answer" in other.error_line
    assert kim.json("balance", "김철수")["used_tokens"] == 500


def test_an_answer_is_read_from_standard_input_and_its_own_id_keeps_it_single(kim: Jangbu, answer: Write) -> None:
    body = Path(answer(10, 20)).read_bytes()
    record = ("record", "김철수", "--service", "text_generation", "--response", "-")
    said = kim.ok(*record, stdin=body).out
    assert "30 tokens of gemini-2.5-flash ($0.000053); 99,970 available to 김철수" in said
    assert kim.json(*record, stdin=body)["replayed"] is True


def test_an_answer_in_utf_16_is_the_one_that_it_is_in_utf_8(kim: Jangbu, answer: Write) -> None:
    file = Path(answer(10, 20))
    record = ("record", "김철수", "--service", "대본", "--response", str(file))
    body = file.read_bytes()
    file.write_bytes(body.decode().encode("utf-16"))
    first = kim.json(*record)
    file.write_bytes(body)
    again = kim.json(*record)
    assert (first["charged_tokens"], again["id"], again["replayed"]) == (30, first["id"], True)


def test_other_counts_under_an_answers_own_id_are_refused_by_that_id(kim: Jangbu, answer: Write) -> None:
    kim.ok("record", "김철수", "--service", "s", "--response", answer(10, 20))
    other = kim("record", "김철수", "--service", "s", "--response", answer(10, 21))
    assert other.code == 1
    assert other.error_line.startswith("error: 'answer-1' was recorded at ")


Results = Callable[..., tuple[str, ...]]


@pytest.fixture
def lines(answer: Write) -> list[str]:
    """Give the lines of a batch's result file: three answers, of 30, 31 and 32 tokens."""
    answers = [json.loads(Path(answer(10, 20 + number, number=number)).read_bytes()) for number in range(3)]
    return [json.dumps({"key": str(number), "response": each}) + "\n" for number, each in enumerate(answers)]


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Write lines as a result file; give the words that record it."""

    def handed_over(*written: str, **options: str) -> tuple[str, ...]:
        (tmp_path / "results.jsonl").write_text("".join(written))
        given = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
        return ("record", "김철수", "--service", "s", "--response", str(tmp_path / "results.jsonl"), *given)

    return handed_over


def test_the_result_file_of_a_batch_is_known_by_the_answers_in_it(
    kim: Jangbu, lines: list[str], results: Results
) -> None:
    failed = '{"key": "3", "error": {"code": 400}}\n'
    first = kim.json(*results(*lines, failed))
    again = kim.json(*results(failed, *reversed(lines)))
    assert (first["charged_tokens"], again["id"], again["replayed"]) == (93, first["id"], True)
    altered = kim(*results(lines[0].replace(": 20", ": 21").replace(": 30", ": 31"), *lines[1:]))
    assert (altered.code, altered.error_line.split(" at ")[0]) == (1, "error: this batch was recorded")
    nameless = [line.replace("responseId", "name") for line in lines]
    assert [kim.json(*results(*nameless, call_id="call-1"))["replayed"] for _ in range(2)] == [False, True]
    assert kim.json("balance", "김철수")["used_tokens"] == 93 + 93


def test_a_result_file_that_was_joined_to_itself_is_charged_once(
    kim: Jangbu, lines: list[str], results: Results
) -> None:
    joined = kim.json(*results(*lines, *lines, call_id="call-1"))
    again = kim.json(*results(*lines))
    assert (joined["charged_tokens"], again["id"], again["replayed"]) == (93, joined["id"], True)
    assert kim.json("balance", "김철수")["used_tokens"] == 93


@pytest.mark.parametrize("options", [{}, {"call_id": "call-1"}])
def test_answers_that_were_recorded_one_by_one_are_not_charged_again_with_their_batch(
    kim: Jangbu, answer: Write, lines: list[str], results: Results, options: dict[str, str]
) -> None:
    kim.ok("record", "김철수", "--service", "s", "--response", answer(10, 21, number=1))
    said = kim.ok(*results(*lines, **options)).out
    assert " recorded: 62 tokens of gemini-2.5-flash" in said
    assert "31 tokens of its answers were recorded before, and are not charged again" in said
    assert kim.json("balance", "김철수")["used_tokens"] == 93
    again = kim.ok(*results(*lines, **options)).out
    assert "nothing changed: 62 tokens" in again
    assert kim.json("balance", "김철수")["used_tokens"] == 93


@pytest.mark.parametrize("options", [(), ("--call-id", "call-1")])
def test_answers_that_were_recorded_with_their_batch_are_not_charged_again_one_by_one(
    kim: Jangbu, answer: Write, lines: list[str], results: Results, options: tuple[str, ...]
) -> None:
    whole = kim.json(*results(*lines))
    alone = kim.json("record", "김철수", "--service", "s", "--response", answer(10, 21, number=1), *options)
    assert (alone["id"], alone["replayed"]) == (whole["id"], True)
    part = kim(*results(*lines[:2]))
    assert "all 2 answers of this batch were recorded before" in part.error_line
    assert kim.json("balance", "김철수")["used_tokens"] == 93
    # Another user's are another's.
    kim.ok("accounts", "create", "이영희")
    other = kim.json("record", "이영희", "--service", "s", "--response", answer(10, 21, number=1))
    assert (other["charged_tokens"], other["replayed"]) == (31, False)


def test_a_model_that_has_no_price_is_recorded_without_one(kim: Jangbu, answer: Write) -> None:
    file = answer(model="gemini-99-dream")
    receipt = kim.json("record", "김철수", "--service", "s", "--response", file)
    assert (receipt["model"], receipt["charged_tokens"], receipt["cost_nano"]) == ("gemini-99-dream", 450, None)
    checks = {check["name"]: check for check in kim.json("doctor")["checks"]}
    assert checks["unpriced calls"]["state"] == "warn"
    assert "everything adds up" in kim.ok("verify").out


def test_the_model_may_be_named_where_the_answer_is_silent(kim: Jangbu, tmp_path: Path) -> None:
    silent = tmp_path / "silent.json"
    silent.write_text('{"candidates": [], "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}}')
    receipt = kim.json(
        "record", "김철수", "--service", "s", "--response", str(silent), "--model", "models/gemini-2.5-pro",
        "--metadata", '{"panels": 4}',
    )  # fmt: skip
    assert (receipt["model"], receipt["charged_tokens"]) == ("gemini-2.5-pro", 3)


@pytest.mark.parametrize(
    "said", ['{"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}', '{"candidates": []}', "{}"]
)
def test_a_call_that_failed_is_not_recorded(kim: Jangbu, tmp_path: Path, said: str) -> None:
    error = tmp_path / "error.json"
    error.write_text(said)
    refused = kim("record", "김철수", "--service", "s", "--response", str(error), "--call-id", "failed-1")
    assert (refused.code, "says nothing of what it used" in refused.error_line) == (2, True)
    assert kim.json("usage", "calls", "김철수")["calls"] == []
    assert kim.json("balance", "김철수")["used_tokens"] == 0


def test_an_answer_that_was_blocked_is_recorded_and_costs_nothing(kim: Jangbu, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked.json"
    blocked.write_text('{"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": "gemini-2.5-flash"}')
    record = ("record", "김철수", "--service", "s", "--response", str(blocked), "--call-id", "blocked-1")
    assert "no tokens" in kim.ok(*record).out
    assert len(kim.json("usage", "calls", "김철수")["calls"]) == 1
    assert kim.json("balance", "김철수")["used_tokens"] == 0


@pytest.mark.parametrize(
    ("total", "charged", "anomaly", "note"),
    [
        (500, 500, "total_mismatch", "what does not add up in the answer: total_mismatch"),
        ("many", 0, "invalid_usage", "counts that are no whole numbers of tokens are kept as they are"),
    ],
)
def test_what_does_not_add_up_is_named_when_it_is_recorded(
    kim: Jangbu, tmp_path: Path, total: object, charged: int, anomaly: str, note: str
) -> None:
    odd = tmp_path / "odd.json"
    counts = {"promptTokenCount": 150, "candidatesTokenCount": 300, "totalTokenCount": total}
    candidates = [{"content": {"parts": [{"text": "네"}]}, "finishReason": "STOP"}]
    odd.write_text(json.dumps({"candidates": candidates, "usageMetadata": counts, "modelVersion": "gemini-2.5-flash"}))
    record = ("record", "김철수", "--service", "s", "--response", str(odd))
    receipt = kim.json(*record)
    assert (receipt["charged_tokens"], anomaly in receipt["anomalies"]) == (charged, True)
    said = kim.ok(*record).out
    assert note in said
    assert "reports no tokens" not in said
    assert kim.json("usage", "calls", "김철수")["calls"][0]["anomalies"] == receipt["anomalies"]


def test_a_debt_is_told_where_it_is_made(kim: Jangbu, answer: Write) -> None:
    record = ("record", "김철수", "--service", "s", "--response", answer(100_000, 50))
    assert kim.ok(*record).out.splitlines()[1].startswith("김철수 owes 50 tokens")
    sound = kim.json("record", "김철수", "--service", "s", "--response", answer(1, 1, number=2))
    assert (sound["available"], sound["anomalies"]) == (-52, [])


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--metadata", "{"), "no JSON"),
        (("--metadata", "[1]"), "no JSON object"),
        (("--metadata", json.dumps({"text": "가" * 2_000})), "bytes"),
        (("--metadata", '{"a": "\\u0000"}'), "NUL"),
        (("--metadata", '{"a": "\\ud800"}'), "broken character"),
        (("--metadata", '{"a": NaN}'), "no JSON"),
        (("--metadata", '{"a": 1, "a": 2}'), "a name is given twice"),
        (("--metadata", '{"a": {"b": {"c": {}}}}'), "deeper than 3"),
        (("--metadata", '{"a":' * 10_000 + "1" + "}" * 10_000), "nested too deep"),
        (("--metadata", json.dumps({str(number): number for number in range(33)})), "33 keys"),
        (("--service", "x" * 51), "service"),
        (("--service", "a\tb"), "service"),
        (("--call-id", "x" * 300), "call id"),
        (("--surface", "telepathy"), "no surface"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_nothing_changes(
    kim: Jangbu, answer: Write, words: tuple[str, ...], why: str
) -> None:
    refused = kim("record", "김철수", "--service", "s", "--response", answer(), *words)
    assert refused.code == 2
    assert why in refused.error_line
    assert kim.json("balance", "김철수")["used_tokens"] == 0


def test_nobody_cannot_be_charged(jangbu: Jangbu, answer: Write) -> None:
    refused = jangbu("record", "nobody", "--service", "s", "--response", answer(), "--json")
    assert (refused.code, refused.error["code"], refused.out) == (3, "not_found", "")


def test_a_count_cannot_be_given(kim: Jangbu) -> None:
    assert kim("record", "김철수", "--service", "s", "--response", "-", "--tokens", "5").code == 2
    refused = kim("record", "김철수", "--service", "s", "--response", "-", stdin=b"450")
    assert refused.code == 2
    assert "standard input" in refused.error_line
