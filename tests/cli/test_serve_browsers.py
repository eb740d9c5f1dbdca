"""Pages in a browser: they call the gateway where the operator allows their origin."""

from collections.abc import Iterator, Mapping
from urllib.request import Request

import pytest

from jangbu.testing import FakeGemini
from tests.cli.conftest import Jangbu
from tests.cli.service import FLASH, UPSTREAM_KEY, Service, serving

SHOP = "https://shop.example"
ASKS = {"access-control-request-method": "POST", "access-control-request-headers": "content-type,x-goog-api-key"}


@pytest.fixture
def gemini() -> Iterator[FakeGemini]:
    with FakeGemini(api_key=UPSTREAM_KEY) as gemini:
        yield gemini


@pytest.fixture
def service(jangbu: Jangbu, gemini: FakeGemini) -> Iterator[Service]:
    with serving(jangbu, gemini=gemini, JANGBU_ALLOWED_ORIGINS=f"{SHOP}, http://localhost:5173") as service:
        yield service


def preflight(service: Service, origin: str) -> tuple[int, Mapping[str, str]]:
    """Ask as a browser does before it calls: without any key."""
    url = f"{service.facts['url']}/v1beta/models/{FLASH}:generateContent"
    status, _, headers = service.ask(Request(url, method="OPTIONS", headers={"origin": origin, **ASKS}))
    return status, headers


def test_a_page_of_an_allowed_origin_may_call_and_read_what_it_cost(service: Service) -> None:
    status, headers = preflight(service, SHOP)
    assert (status, headers["access-control-allow-origin"]) == (200, SHOP)
    assert "x-goog-api-key" in headers["access-control-allow-headers"]
    status, _, headers = service.generate(origin=SHOP)
    assert (status, headers["access-control-allow-origin"]) == (200, SHOP)
    assert {"x-jangbu-tokens-charged", "x-jangbu-balance-left"} <= {
        name.strip() for name in headers["access-control-expose-headers"].split(",")
    }
    assert "access-control-allow-credentials" not in headers


def test_a_page_of_another_origin_may_not(service: Service) -> None:
    status, headers = preflight(service, "https://evil.example")
    assert status == 400
    assert "access-control-allow-origin" not in headers


def test_none_may_at_first(jangbu: Jangbu, gemini: FakeGemini) -> None:
    with serving(jangbu, gemini=gemini) as service:
        status, headers = preflight(service, SHOP)
        assert status == 404
        assert "access-control-allow-origin" not in headers
