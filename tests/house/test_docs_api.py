"""What docs/api.md shows is run as it stands, and what it lists is what there is."""

import asyncio
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from tests.api.rest.stage import answer, stage

from jangbu.api.rest.parts import ROUTES
from jangbu.domain.keys import Role

SHOWN = (Path(__file__).parents[2] / "docs/api.md").read_text()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
async def test_the_commands_that_are_shown_do_what_they_say(database_url: str) -> None:
    (script,) = re.findall(r"```sh\n(.*?)```", SHOWN, re.DOTALL)
    async with stage(database_url, project="shown") as api:
        given = {**os.environ, "URL": api.url, "KEY": api.secrets[Role.OWNER]}
        running = await asyncio.create_subprocess_exec("sh", "-eu", "-c", script, env=given, stdout=-1)
        said, _ = await running.communicate()
    assert running.returncode == 0
    decoder, answers, at = json.JSONDecoder(), [], 0
    while at < len(said.decode()):
        found, at = decoder.raw_decode(said.decode(), at)
        answers.append(found)
    assert answers[0]["user"] == "kim"
    assert answers[1]["amount"] == 1_000_000
    assert (answers[2]["status"], answers[2]["charged_tokens"]) == ("created", 450)
    assert (answers[3]["used_tokens"], answers[3]["available"]) == (450, 1_999_550)


async def test_the_code_that_is_shown_records_without_a_database(database_url: str, tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", SHOWN, re.DOTALL)
    async with stage(database_url) as api:
        given = f"url, key, response = {api.url!r}, {api.secrets[Role.DEVELOPER]!r}, {answer()!r}\n"
        (tmp_path / "app.py").write_text(given + code)
        nowhere = {**os.environ, "JANGBU_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing"}
        running = await asyncio.create_subprocess_exec(sys.executable, str(tmp_path / "app.py"), env=nowhere, stdout=-1)
        said, _ = await running.communicate()
    assert (running.returncode, said.decode()) == (0, "450 999550\n")


def test_every_route_is_listed() -> None:
    listed, last, previous = set(), "", ""
    for line in SHOWN.splitlines():
        if not line.startswith(("| `GET /", "| `POST /")):
            continue
        for method, path in re.findall(r"`(?:(GET|POST) )?([/…][^`]*)`", line):
            last = method or last
            previous = path if path.startswith("/") else "/".join(previous.split("/")[:3]) + path.removeprefix("…")
            listed.add((last, previous))
    assert listed == {(each.method, each.path) for routes in ROUTES for each in routes}


def test_every_role_is_explained() -> None:
    explained = set(re.findall(r"^\| `([a-z]+)` \| ", SHOWN, re.MULTILINE))
    assert explained == {role.value.removeprefix("api:") for role in Role if role is not Role.USER}
