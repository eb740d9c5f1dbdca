"""The log: what is in it can be read by others at once, and nothing half-written is."""

from dataclasses import replace
from pathlib import Path

from jangbu.testing.answer_log import Answer, AnswerLog, read_answers


def _answer(log: AnswerLog) -> Answer:
    return Answer(
        order=log.next_order(),
        at="2026-01-01T00:00:00Z",
        method="POST",
        path="/v1/x",
        surface="generate_content",
        status=200,
        labels={"team": "한국"},
        reported={"totalTokenCount": 3},
    )


def test_a_line_can_be_read_as_soon_as_it_is_appended(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path / "log", sync=True)
    first, second = _answer(log), _answer(log)
    log.append(first)
    assert read_answers(tmp_path / "log") == [first]
    log.append(second)
    assert log.answers() == [first, second]
    log.close()
    assert log.answers() == [first, second]


def test_an_answer_that_did_not_arrive_is_amended_not_edited(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path / "log")
    answer = _answer(log)
    log.append(answer)
    before = (tmp_path / "log").read_bytes()
    log.amend_as_cut(answer)
    log.close()
    assert read_answers(tmp_path / "log") == [replace(answer, completely_sent=False)]
    assert (tmp_path / "log").read_bytes().startswith(before)


def test_a_log_goes_on_after_a_kill_without_the_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = AnswerLog(path)
    log.append(_answer(log))
    log.close()
    with path.open("ab") as file:
        file.write(b'{"order": 2, "torn')
    assert [answer.order for answer in read_answers(path)] == [1]

    again = AnswerLog(path)
    again.append(_answer(again))
    again.close()
    assert [answer.order for answer in read_answers(path)] == [1, 2]


def test_without_a_file_the_answers_are_kept_in_memory() -> None:
    log = AnswerLog()
    answer = _answer(log)
    log.append(answer)
    log.close()
    assert log.answers() == [answer]
