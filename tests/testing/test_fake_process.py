"""The fake as a process of its own: its log can be read while it runs, and outlives a kill."""

import subprocess
import sys
from pathlib import Path

import pytest

from jangbu.errors import JangbuError
from jangbu.testing import FakeGemini, read_answers
from tests.testing.raw import GENERATE, HELLO, ask


def _start(*arguments: str) -> "tuple[subprocess.Popen[str], str]":
    command = [sys.executable, "-m", "jangbu.testing.fake", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_what_was_answered_is_in_the_log_even_after_a_kill(tmp_path: Path) -> None:
    log = tmp_path / "answers.jsonl"
    ids = []
    for _ in range(2):
        process, url = _start("--log", str(log), "--label-header", "x-team")
        with process:
            for _ in range(5):
                ids.append(ask(url, GENERATE, HELLO, headers={"x-team": "red"}).json["responseId"])
                assert read_answers(log)[-1].response_id == ids[-1]
            process.kill()
    answers = read_answers(log)
    assert [answer.response_id for answer in answers] == ids
    assert [answer.order for answer in answers] == list(range(1, 11))
    assert answers[0].labels == {"x-team": "red"}


def test_it_ends_when_it_is_told_to() -> None:
    process, url = _start("--behaviour", "503")
    with process:
        assert ask(url, GENERATE, HELLO).status == 503
        process.terminate()
        assert process.wait(timeout=30) == 0


def test_a_port_that_is_taken_is_said_so() -> None:
    with FakeGemini() as gemini, pytest.raises(JangbuError, match="cannot listen"):
        FakeGemini(port=int(gemini.url.rsplit(":", 1)[1])).__enter__()


def test_a_port_that_there_is_not_is_said_so() -> None:
    with pytest.raises(JangbuError, match="cannot listen"):
        FakeGemini(port=99_999).__enter__()


@pytest.mark.parametrize(
    ("option", "given", "code", "told"),
    [
        ("--port", "{taken}", 1, "address already in use"),
        ("--port", "99999", 2, "'99999' is no port; give 0 to 65,535"),
        ("--log", "{folder}/absent/answers.jsonl", 1, "No such file or directory"),
    ],
)
def test_what_cannot_be_begun_is_one_line(option: str, given: str, code: int, told: str, tmp_path: Path) -> None:
    with FakeGemini() as gemini:
        value = given.format(taken=gemini.url.rsplit(":", 1)[1], folder=tmp_path)
        command = [sys.executable, "-m", "jangbu.testing.fake", option, value]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert told in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_the_plugin_loads_nothing_heavy() -> None:
    program = "import sys, pytest; before = set(sys.modules); import jangbu.testing.plugin; "
    program += "print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"asyncio", "google.genai", "websockets", "cryptography", "asyncpg", "jangbu.testing.gemini"}
