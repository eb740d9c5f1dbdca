"""Reading the usage of answers, without a database."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Jangbu

Write = Callable[..., str]


def test_one_answer_is_one_object_in_the_words_of_the_contract(offline: Jangbu, answer: Write) -> None:
    found = offline.ok("usage", "parse", answer(150, 300, 50)).json
    assert found["counts"] == {"prompt": 150, "candidates": 300, "thoughts": 50, "tool": 0, "cached": 0, "total": 500}
    assert (found["prompt_tokens"], found["completion_tokens"], found["total_tokens"]) == (150, 350, 500)
    assert (found["surface"], found["model"], found["source"]) == ("generate_content", "gemini-2.5-flash", "reported")
    assert (found["response_id"], found["tier"], found["anomalies"]) == ("answer-1", None, [])
    assert "cost_nano" not in found


def test_a_stream_on_standard_input_is_found_out(offline: Jangbu) -> None:
    chunks = [
        {"candidates": [{"content": {"parts": [{"text": "안"}]}}], "usageMetadata": {"promptTokenCount": 7}},
        {
            "candidates": [{"content": {"parts": [{"text": "녕"}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 5, "totalTokenCount": 12},
        },
    ]
    body = "".join(f"data: {json.dumps(chunk)}\r\n\r\n" for chunk in chunks).encode()
    found = offline.ok("usage", "parse", "-", stdin=body).json
    assert (found["surface"], found["total_tokens"]) == ("stream_generate_content", 12)


def test_a_price_is_exact_and_dated(offline: Jangbu, answer: Write) -> None:
    found = offline.ok("usage", "parse", answer(150, 300), "--price", "--at", "2026-11-01").json
    assert found["cost_nano"] == 150 * 300 + 300 * 2_500 == sum(line["amount_nano"] for line in found["price_lines"])
    batch = offline.ok("usage", "parse", answer(150, 300), "--price", "--at", "2026-11-01", "--tier", "batch").json
    assert batch["cost_nano"] * 2 == found["cost_nano"]


def test_what_has_no_price_has_null_and_says_why(offline: Jangbu, answer: Write) -> None:
    found = offline.ok("usage", "parse", answer(model="gemini-99-dream"), "--price").json
    assert found["cost_nano"] is None
    assert {reason["reason"] for reason in found["unpriced"]} == {"model_unpriced"}


@pytest.mark.parametrize("count", [2**63, -1, 1.5, True, "many"])
def test_a_count_that_cannot_be_believed_is_named_and_never_charged(
    offline: Jangbu, tmp_path: Path, count: object
) -> None:
    (tmp_path / "odd.json").write_text(json.dumps({"usageMetadata": {"promptTokenCount": 1, "totalTokenCount": count}}))
    found = offline.ok("usage", "parse", "odd.json").json
    assert (found["total_tokens"], found["source"]) == (0, "none")
    assert "invalid_usage" in found["anomalies"]


def test_several_files_give_a_line_each_and_a_bad_one_spoils_no_other(
    offline: Jangbu, answer: Write, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_bytes(b"\x89PNG\r\n")
    ended = offline("usage", "parse", answer(1, 2, number=1), str(bad), answer(3, 4, number=2))
    first, middle, last = (json.loads(line) for line in ended.out.splitlines())
    assert (first["total_tokens"], last["total_tokens"]) == (3, 7)
    assert (middle["file"], middle["error"]["code"]) == (str(bad), "invalid_answer")
    assert (ended.code, ended.err) == (2, "error: 1 of 3 files cannot be used; their lines say why\n")


@pytest.mark.parametrize("content", [b"", b"  \n", b"{", b"hello", b"\x00\xff" * 100, b"[]", b"null", b"12345"])
def test_a_file_that_is_no_answer_is_refused_by_name(offline: Jangbu, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken").write_bytes(content)
    refused = offline("usage", "parse", "broken")
    assert refused.code == 2
    assert "broken" in refused.error_line


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_file_is_read_in_whichever_encoding_of_unicode_it_was_written(
    offline: Jangbu, tmp_path: Path, encoding: str, mark: str
) -> None:
    answer = {"responseId": "답-1", "modelVersion": "gemini-2.5-flash", "usageMetadata": {"promptTokenCount": 9}}
    # Windows PowerShell 5 ends its lines with both characters.
    answers = ({**answer, "responseId": f"답-{number}"} for number in range(2))
    lines = "".join(f"{json.dumps({'key': '하나', 'response': each}, ensure_ascii=False)}\r\n" for each in answers)
    written = json.dumps(answer, ensure_ascii=False, indent=1).replace("\n", "\r\n")
    for name, text, tokens in (("one.json", written, 9), ("many.jsonl", lines, 18)):
        (tmp_path / name).write_bytes((mark + text).encode(encoding))
        assert offline.ok("usage", "parse", name).json["total_tokens"] == tokens
    found = offline.ok("usage", "parse", "-", stdin=(mark + written).encode(encoding)).json
    assert (found["response_id"], found["total_tokens"]) == ("답-1", 9)


def test_a_file_that_begins_as_utf_16_and_is_none_is_told_by_what_to_do(offline: Jangbu, tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_bytes('{"responseId": "답"}'.encode("utf-16")[:-1])
    refused = offline("usage", "parse", "cut.json")
    assert refused.code == 2
    assert refused.error_line.startswith("error: cut.json: the answer is no UTF-8, perhaps UTF-16")
    assert "give it in UTF-8" in refused.error_line


def test_a_file_that_cannot_be_read_says_why(offline: Jangbu, tmp_path: Path) -> None:
    assert "is a directory" in offline("usage", "parse", str(tmp_path)).error_line
    assert "there is no file" in offline("usage", "parse", "missing.json").error_line
    assert offline("usage", "parse", "x" * 5_000).error_line
    assert offline("usage", "parse", "-").code == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_says_so(offline: Jangbu, answer: Write) -> None:
    file = Path(answer())
    file.chmod(0)
    assert "may not be read" in offline("usage", "parse", str(file)).error_line


@pytest.mark.parametrize(
    "words", [("--at", "2026-11-01"), ("--price", "--at", "soon"), ("--price", "--tier", "gold"), ("--surface", "x")]
)
def test_a_question_that_makes_no_sense_is_a_usage_error(
    offline: Jangbu, answer: Write, words: tuple[str, ...]
) -> None:
    refused = offline("usage", "parse", answer(), *words)
    assert refused.code == 2
    assert refused.error_line


def test_a_user_may_be_shown_where_standard_output_knows_no_korean(offline: Jangbu, answer: Write) -> None:
    file = answer(model="모델")
    ended = offline.ok("usage", "parse", file, PYTHONIOENCODING="ascii")
    assert (ended.out.isascii(), ended.json["model"]) == (True, "모델")
