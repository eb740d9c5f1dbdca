"""The first owner's link: said once at the start, in the form of the other lines, where somebody could use it."""

import logging
import re
from typing import Any

import httpx2
import pytest

from jangbu.cli.serve.lines import logging_to_stderr
from tests.cli.conftest import Jangbu
from tests.cli.service import Service, serving


def offers(service: Service) -> list[dict[str, Any]]:
    return [line for line in service.lines() if line["event"] == "first_owner"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_ledger_without_members_offers_one_link_that_is_the_servers_own(jangbu: Jangbu, workers: str) -> None:
    with serving(jangbu, "--workers", workers, JANGBU_DASHBOARD="true") as service:
        (offer,) = offers(service)
        assert re.fullmatch(rf"{service.facts['url']}/dashboard/set-up\?token=[\w-]{{43}}", offer["link"])
        assert offer["level"] == "info"


def test_people_read_it_as_a_line_and_below_the_public_address(jangbu: Jangbu) -> None:
    public = "https://shop.example/meter"
    with serving(jangbu, "--log-format", "text", JANGBU_DASHBOARD="true", JANGBU_PUBLIC_URL=public) as service:
        (line,) = [line for line in service.log.read_text().splitlines() if "first owner" in line]
    assert f"opens {public}/dashboard/set-up?token=" in line


def test_where_there_is_a_member_or_no_dashboard_nothing_is_offered(jangbu: Jangbu) -> None:
    with serving(jangbu, JANGBU_DASHBOARD="false") as service:
        assert offers(service) == []
    jangbu.ok("members", "add", "kim")
    with serving(jangbu, JANGBU_DASHBOARD="true") as service:
        assert offers(service) == []


@pytest.mark.parametrize(("dashboard", "leads_to"), [("true", "/dashboard/sign-in"), ("false", "/")])
def test_the_address_that_is_printed_leads_people_to_the_dashboard(
    jangbu: Jangbu, dashboard: str, leads_to: str
) -> None:
    with serving(jangbu, JANGBU_DASHBOARD=dashboard) as service:
        answer = httpx2.get(service.facts["url"], follow_redirects=True)
    assert (answer.url.path, answer.status_code) == (leads_to, 200 if dashboard == "true" else 404)


def test_what_lets_somebody_in_is_in_no_line_of_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    with logging_to_stderr("json"):
        logging.getLogger("some.part").warning(
            "GET /dashboard/set-up?token=Canary-1 and /returned?state=a&code=Canary_2"
        )
    told = capfd.readouterr().err
    assert "/dashboard/set-up?token=***" in told
    assert "Canary" not in told
