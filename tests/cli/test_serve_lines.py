"""What the service logs: a line for each request, with everything in it that helps and nothing that opens a door."""

import logging
from collections.abc import Iterator
from typing import get_args

import pytest
from pydantic import SecretStr

from jangbu.cli.serve.lines import logging_as_set
from jangbu.config import Settings
from jangbu.testing import FakeGemini
from tests.cli.conftest import Jangbu
from tests.cli.service import FLASH, UPSTREAM_KEY, Service, eventually, serving


@pytest.fixture
def gemini() -> Iterator[FakeGemini]:
    with FakeGemini(api_key=UPSTREAM_KEY) as gemini:
        yield gemini


@pytest.fixture
def service(jangbu: Jangbu, gemini: FakeGemini) -> Iterator[Service]:
    with serving(jangbu, "--log-format", "json", gemini=gemini) as service:
        yield service


def test_a_call_is_one_line_with_its_verb_status_and_tokens(service: Service, gemini: FakeGemini) -> None:
    status, _, headers = service.generate(**{"x-request-id": "order-4711.retry_2"})
    assert (status, headers["x-request-id"]) == (200, "order-4711.retry_2")
    eventually(service.lines)
    [line] = service.lines()
    [answer] = gemini.answers()
    assert answer.counted is not None
    assert line["request_id"] == "order-4711.retry_2"
    assert (line["level"], line["method"], line["verb"], line["status"]) == ("info", "POST", "generateContent", 200)
    assert line["tokens"] == answer.counted["totalTokenCount"]
    assert 0 < line["added_seconds"] <= line["seconds"]
    assert "kim" not in service.log.read_text()


def test_a_refusal_tells_its_code_and_what_only_the_operator_can_do(service: Service) -> None:
    _, told, _ = service.generate(**{"x-jangbu-user": "nobody"})
    service.get("/v1beta/what/ever")
    eventually(lambda: len(service.lines()) == 3)
    hint, refused, nowhere = service.lines()
    assert (hint["level"], hint["request_id"]) == ("warning", refused["request_id"])
    assert "run `jangbu accounts create nobody`" in hint["message"]
    assert b"jangbu accounts" not in told
    assert (refused["verb"], refused["status"], refused["code"]) == ("generateContent", 404, "not_found")
    assert (nowhere["verb"], nowhere["status"], nowhere["code"]) == ("undeclared", 404, "not_offered")


@pytest.mark.parametrize("given", ["", "short", "x" * 37, "a b c d e f g h", "line%0abreak", UPSTREAM_KEY, "ключ-ключ"])
def test_an_id_that_is_not_sane_is_replaced(service: Service, given: str) -> None:
    _, _, headers = service.get("/healthz", **{"x-request-id": given.encode().decode("latin-1")})
    [made] = headers.get_all("x-request-id")
    assert made != given
    assert len(made) == 32


def test_probes_that_find_all_well_are_not_logged(service: Service) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert service.get(path)[0] == 200
    service.generate()
    eventually(service.lines)
    assert [line["verb"] for line in service.lines()] == ["generateContent"]


def test_no_key_is_ever_logged(service: Service, gemini: FakeGemini) -> None:
    wrong = "jbu_" + "Canary0" * 7
    service.generate()
    service.generate(key=wrong)
    service.generate(Authorization=f"Bearer {wrong}", key="")
    service.get(f"/v1beta/models?key={service.key}")
    service.get(f"/v1beta/models/{service.key}:generateContent?key={wrong}&key={wrong}")
    service.get(f"/v1beta/models?{wrong}")
    gemini.next("cut")
    service.generate()
    gemini.next("garbage")
    service.generate()
    with service.connect() as raw:
        raw.sendall(f"GET /v1beta/models?key={service.key} HTTP/1.1\r\nhost: x\r\nx-goog-api-key: {wrong}\n\r".encode())
        raw.recv(1000)
    assert service.stop() == 0
    written = service.log.read_text()
    assert written.count("\n") >= 8
    assert service.key not in written
    assert "Canary" not in written
    assert "test_" not in written


def test_no_secret_of_the_settings_is_ever_logged(capfd: pytest.CaptureFixture[str]) -> None:
    names = [name for name, field in Settings.model_fields.items() if SecretStr in get_args(field.annotation)]
    secrets = {name: f"Canary-{number}" for number, name in enumerate(names)}
    assert {"webhook_url", "webhook_secret", "alert_webhook_url", "gemini_api_key"} <= set(secrets)
    with logging_as_set(Settings.load(log_format="json", **secrets)):
        for name, secret in secrets.items():
            logging.getLogger("jangbu.alerts").error("%s leads to %s", name, secret)
    written = capfd.readouterr().err
    assert written.count("***") >= len(secrets)
    assert "Canary" not in written


def test_people_get_text(jangbu: Jangbu, gemini: FakeGemini) -> None:
    with serving(jangbu, "--log-format", "text", gemini=gemini) as service:
        service.generate()
        eventually(service.log.read_text)
        line = service.log.read_text()
        assert " POST generateContent 200 " in line
        assert " tokens" in line
        assert line.count("\n") == 1


def test_a_log_may_be_off(jangbu: Jangbu, gemini: FakeGemini) -> None:
    with serving(jangbu, gemini=gemini, JANGBU_LOG_FORMAT="off") as service:
        service.generate()
        assert service.stop() == 0
        assert service.log.read_text() == ""


def test_a_format_is_a_known_one(offline: Jangbu) -> None:
    ended = offline("serve", "--log-format", "xml")
    assert ended.code == 2
    assert "json" in ended.error_line


def test_a_stream_that_breaks_off_is_told_in_one_line(service: Service, gemini: FakeGemini) -> None:
    gemini.next("cut=2; chunks=5")
    with pytest.raises(Exception, match=r"."):
        service.ask(service.request(f"/v1beta/models/{FLASH}:streamGenerateContent?alt=sse"))
    eventually(service.lines)
    [line] = service.lines()
    assert (line["verb"], line["broken_off"], line["code"]) == ("streamGenerateContent", True, "upstream_unreachable")


def test_that_there_is_nothing_to_call_gemini_with_is_told_at_the_start(jangbu: Jangbu) -> None:
    with serving(jangbu) as service:
        eventually(service.lines)
        [line] = service.lines()
        assert (line["level"], line["logger"]) == ("warning", "jangbu.gateway")
        assert "set GEMINI_API_KEY" in line["message"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_spool_that_cannot_be_used_is_told_once_at_the_start(
    jangbu: Jangbu, gemini: FakeGemini, workers: str
) -> None:
    # For a name that is too long the system has an error, as it has for a directory without rights, whoever asks.
    closed = str(jangbu.directory / ("long" * 100))
    with serving(jangbu, "--workers", workers, gemini=gemini, JANGBU_SPOOL_DIR=closed) as service:
        assert service.json("/readyz")[1]["code"] == "spool_unusable"
        assert service.json("/healthz")[0] == 200
        assert service.stop() == 0
        [line] = [each for each in service.lines() if each["event"] != "request"]
    assert line["message"].startswith(f"no call can be made: the spool {closed}")
    assert "File name too long; set JANGBU_SPOOL_DIR to a directory" in line["message"]
