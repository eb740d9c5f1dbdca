"""Interactions with agents, which choose their own models and take no configuration of one: nothing is put in."""

import json
from typing import Any

import pytest

from tests.gateway.book import came, holds
from tests.gateway.stage import Stage

PATH = "/v1/interactions"
RESEARCH: dict[str, Any] = {"agent": "deep-research-preview-04-2026", "input": "x"}
OUTPUT_MOST = 65_536


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"background": True}, id="in the background"),
        pytest.param({"stream": True}, id="as a stream"),
        pytest.param({"agent_config": {"type": "deep-research"}}, id="with its own configuration"),
        pytest.param({"generation_config": {"max_output_tokens": 5}}, id="with a configuration that it does not take"),
    ],
)
async def test_an_agent_is_sent_what_the_client_wrote(served: Stage, given: dict[str, Any]) -> None:
    body = {**RESEARCH, **given}
    status, answer, headers = await served.post(PATH, body)
    assert status == 200, answer
    assert json.loads(served.gemini.requests()[-1].body) == body
    assert "x-jangbu-output-limit" not in headers


async def test_who_cannot_pay_for_all_that_an_agent_may_write_is_refused(served: Stage) -> None:
    await served.open("lee", tokens=OUTPUT_MOST)
    status, answer, _ = await served.post(PATH, RESEARCH, user="lee")
    assert (status, answer["error"]["details"][0]["reason"]) == (402, "INSUFFICIENT_BALANCE")
    assert not any(line.endswith("/interactions") for line in came(served))
    assert (await holds(served), await served.used("lee")) == ([], (0, 0))


async def test_an_agent_has_all_that_is_left_held_because_it_reads_what_it_likes(served: Stage) -> None:
    await served.open("lee", tokens=OUTPUT_MOST + 20_000)
    assert (await served.post(PATH, {**RESEARCH, "background": True}, user="lee"))[0] == 200
    assert await served.used("lee") == (0, OUTPUT_MOST + 20_000)
