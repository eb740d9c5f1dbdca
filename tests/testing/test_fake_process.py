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


def test_the_plugin_loads_nothing_heavy() -> None:
    program = "import sys, pytest; before = set(sys.modules); import jangbu.testing.plugin; "
    program += "print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"asyncio", "google.genai", "websockets", "cryptography", "asyncpg", "jangbu.testing.gemini"}
