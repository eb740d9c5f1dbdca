"""``serve``: the ledger kept up behind HTTP, started and stopped as people do it."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.cli.conftest import Jangbu
from tests.ports import free_port


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def serving(jangbu: Jangbu, port: int) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "jangbu", "serve", "--port", str(port), "--json"],
        cwd=jangbu.directory,
        env={**jangbu.environment, "JANGBU_VERTEX_PROJECT": "shop", "JANGBU_DASHBOARD": "false"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def fetched(port: int, path: str) -> tuple[int, dict[str, object]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_it_answers_until_it_is_stopped(serving: "subprocess.Popen[str]", jangbu: Jangbu, port: int) -> None:
    assert serving.stdout is not None
    assert json.loads(serving.stdout.readline()) == {"url": f"http://127.0.0.1:{port}"}
    assert fetched(port, "/healthz") == (200, {"status": "ok"})
    status, ready = fetched(port, "/readyz")
    assert (status, ready["status"], ready["price_version"]) == (200, "ok", 1)
    taken = jangbu("serve", "--port", str(port))
    assert taken.code == 1
    assert taken.error_line == (
        f"error: 127.0.0.1:{port} cannot be listened on: Address already in use; choose another --port\n"
    )


@pytest.mark.parametrize(
    ("host", "shown"),
    [("192.0.2.1", "192.0.2.1"), ("nowhere.invalid", "nowhere.invalid"), ("2001:db8::1", "[2001:db8::1]")],
)
def test_an_address_that_is_not_this_machines_is_said_to_be_wrong_and_not_the_port(
    offline: Jangbu, host: str, shown: str
) -> None:
    refused = offline("serve", "--host", host, "--port", "8787")
    assert (refused.code, "(" in refused.error_line) == (1, False)
    assert refused.error_line.startswith(f"error: {shown}:8787 cannot be listened on: ")
    hint = "choose as --host an address of this machine, or 0.0.0.0 for all that it has"
    assert refused.error_line.endswith(f"; {hint}\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_being_stopped_is_its_normal_end(
    serving: "subprocess.Popen[str]", number: signal.Signals, jangbu: Jangbu, port: int
) -> None:
    assert serving.stdout is not None
    assert serving.stdout.readline()
    assert fetched(port, "/healthz") == (200, {"status": "ok"})
    serving.send_signal(number)
    _, complaints = serving.communicate(timeout=60)
    assert (serving.returncode, complaints) == (0, "")


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_port_is_a_number(offline: Jangbu, port: str) -> None:
    ended = offline("serve", "--port", port)
    assert ended.code == 2
    assert "port" in ended.error_line


def test_a_ledger_that_is_away_is_told_before_anything_is_served(offline: Jangbu) -> None:
    ended = offline("serve")
    assert ended.code == 7
    assert ended.error_line
