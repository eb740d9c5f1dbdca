"""What built-in tools may feed back into a call: nothing of the request tells, so it is bounded by what they are."""

from typing import Any

import pytest

from jangbu.providers.gemini import request
from jangbu.providers.gemini.limits import INPUT_MOST_UNKNOWN
from jangbu.providers.gemini.tool_bound import SEARCH_MOST, fed_back_most, reads_at_will

FLASH = "gemini-2.5-flash"
ALL = 1_048_576
MCP = {"type": "mcp_server", "url": "https://x.example"}


@pytest.mark.parametrize(
    ("body", "most"),
    [
        pytest.param({}, 0, id="no tools"),
        pytest.param({"tools": None}, 0, id="null"),
        pytest.param({"tools": [{"functionDeclarations": [{"name": "f"}]}]}, 0, id="functions, which the caller runs"),
        pytest.param({"tools": [{"computerUse": {}}]}, 0, id="a computer, which the caller runs"),
        pytest.param({"tools": [{"googleSearch": {}}]}, SEARCH_MOST, id="a search"),
        pytest.param({"tools": [{"google_search_retrieval": {}}, {"googleMaps": {}}]}, SEARCH_MOST, id="searches"),
        pytest.param({"tools": {"google_search": {}}}, SEARCH_MOST, id="one tool instead of a list"),
        pytest.param({"cachedContent": "cachedContents/a"}, SEARCH_MOST, id="a cache, which may bring a search along"),
        pytest.param({"tools": [{"urlContext": {}}]}, ALL, id="pages"),
        pytest.param({"tools": [{"url_context": {}, "googleSearch": {}}]}, ALL, id="pages, beside a search"),
        pytest.param({"tools": [{"codeExecution": {}}]}, ALL, id="code"),
        pytest.param({"tools": [{"fileSearch": {}}]}, ALL, id="files"),
        pytest.param({"tools": [{"mcpServers": [{"name": "mine"}]}]}, ALL, id="somebody's server"),
        pytest.param({"tools": [{"somethingNew": {}}]}, ALL, id="an unknown tool"),
        pytest.param({"tools": ["urlContext"]}, ALL, id="a tool that is no object"),
        pytest.param({"environment": {"type": "remote", "sources": []}}, ALL, id="where code runs, without tools"),
        pytest.param({"environment": "environments/mine"}, ALL, id="where code ran before"),
        pytest.param({"tools": [{"type": "function", "function": {"name": "f"}}]}, 0, id="a function of a chat"),
        pytest.param({"tools": [{"type": "google_search"}]}, SEARCH_MOST, id="a search of an interaction"),
        pytest.param({"tools": [MCP]}, ALL, id="a server of an interaction"),
        pytest.param({"extra_body": {"google": {"tools": [{"urlContext": {}}]}}}, ALL, id="Google's own, in a chat"),
        pytest.param({"google": {"tools": [{"url_context": {}}]}}, ALL, id="Google's own, as OpenAI's client sends it"),
    ],
)
def test_tools_feed_back_what_their_kind_may(body: dict[str, Any], most: int) -> None:
    assert fed_back_most(body, FLASH) == most


@pytest.mark.parametrize(
    ("body", "reads"),
    [
        ({"tools": [{"googleSearch": {}}, {"functionDeclarations": []}]}, False),
        ({"tools": [{"urlContext": {}}]}, True),
        ({"tools": [{"somethingNew": {}}]}, True),
        ({"contents": [{"parts": [{"fileData": {"fileUri": "files/a"}, "mediaProcessing": "AGENTIC"}]}]}, True),
        ({"contents": [{"parts": [{"fileData": {"fileUri": "files/a"}, "mediaProcessing": "STATIC"}]}]}, False),
    ],
)
def test_what_a_cache_brings_along_may_be_read_at_will(body: dict[str, Any], reads: bool) -> None:
    assert reads_at_will(body) is reads


def test_an_agent_feeds_back_what_it_likes() -> None:
    assert fed_back_most({"agent": "deep-research-preview"}, None) == INPUT_MOST_UNKNOWN


def test_a_batch_is_bounded_with_all_that_its_tools_feed_back() -> None:
    single = {"contents": [{"parts": [{"text": "a"}]}], "generationConfig": {"maxOutputTokens": 5}}
    plain, searching = (
        request.bounds("batchGenerateContent", {"batch": {"inputConfig": {"requests": [{"request": each}] * 3}}}, FLASH)
        for each in (single, {**single, "tools": [{"googleSearch": {}}]})
    )
    assert plain.input_most is not None
    assert searching.input_most is not None
    assert searching.input_most - plain.input_most > 3 * SEARCH_MOST
