"""What docs/token-meter.md shows is run as it stands, and what it lists is what there is."""

import asyncio
import json
import os
import re
import shutil
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from tests.api.rest.stage import record, stage

from jangbu import Meter
from jangbu.dashboard.assets import FOLDER
from jangbu.dashboard.view.component import SOURCE, STYLE
from jangbu.dashboard.view.facts import view_facts
from jangbu.domain.keys import Role
from jangbu.domain.ledger import account_id
from jangbu.metering.views import view_of

SHOWN = (Path(__file__).parents[2] / "docs/token-meter.md").read_text()
CODE, DRESS = SOURCE.read_text(), (FOLDER / STYLE).read_text()


def block(language: str) -> str:
    """Give the one block of a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", SHOWN, re.DOTALL)
    return str(found)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
async def test_the_command_that_is_shown_makes_a_token(database_url: str) -> None:
    async with stage(database_url) as api:
        given = {**os.environ, "URL": api.url, "KEY": api.secrets[Role.VIEWS]}
        running = await asyncio.create_subprocess_exec("sh", "-eu", "-c", block("sh"), env=given, stdout=-1)
        said, _ = await running.communicate()
        made = json.loads(said)
        assert await api.ledger.view_tokens.account_of(made["token"]) == account_id(api.settings.project, "kim")


def test_the_code_that_is_shown_makes_a_token(database_url: str) -> None:
    with Meter.open(database_url) as meter:
        meter.create("kim")
        known = {"meter": meter}
        exec(block("python"), known)
        assert known["view_token"]("kim").count(".") == 2  # type: ignore[operator]


async def test_the_figures_that_are_shown_have_the_fields_that_are_told(database_url: str) -> None:
    async with stage(database_url) as api:
        await api.post("/records", record())
        soon = await api.ledger.database.now() + timedelta(days=2)
        await api.ledger.accounts.grant("kim", 5_000, key="gift", expires_at=soon)
        account = account_id(api.settings.project, "kim")
        view = await view_of(
            api.ledger.database, api.settings.project, account, ZoneInfo("Asia/Seoul"), calls=1, low_balance=None
        )
        told = view_facts(view, with_costs=False, top_up_url="https://shop.example/tokens")
    assert shape(json.loads(block("json"))) == shape(told)


def shape(value: object) -> object:
    """Give the names and kinds in a value, of lists of their first."""
    match value:
        case dict():
            return {name: shape(each) for name, each in value.items()}
        case list():
            return [shape(each) for each in value[:1]]
        case _:
            return type(value).__name__


def test_every_attribute_is_listed() -> None:
    (observed,) = re.findall(r"observedAttributes = \[(.*?)\]", CODE)
    read = {*re.findall(r'"([a-z]+)"', observed), *re.findall(r":host\(\[([a-z]+)=", DRESS)}
    assert set(re.findall(r"^\| `([a-z]+)` \|", SHOWN, re.MULTILINE)) == read


def test_every_property_and_part_is_listed() -> None:
    names = set(re.findall(r"--token-meter-[a-z-]+", DRESS))
    assert set(re.findall(r"`(--token-meter-[a-z-]+)`", SHOWN)) == names
    (parts,) = re.findall(r"`::part`: (.*?)\.", SHOWN, re.DOTALL)
    assert set(re.findall(r"`([a-z-]+)`", parts)) == set(re.findall(r'part: "([a-z-]+)"', CODE))


def test_every_event_is_listed() -> None:
    assert set(re.findall(r"`(token-meter-(?:loaded|failed))`", SHOWN)) == set(
        re.findall(r'"(token-meter-(?:loaded|failed))"', CODE)
    )
