"""Members from the command line: made with a link, given roles, kept out and let in again."""

import getpass
from typing import Any

import pytest

from jangbu.config import Settings
from jangbu.errors import Unauthenticated
from jangbu.wiring import open_metering
from tests.cli.conftest import Jangbu

GOOD = "correct horse battery"


async def use(database_url: str, link: str, password: str = GOOD) -> None:
    """Choose a password as the page behind a link does."""
    async with open_metering(Settings.load(database_url=database_url)) as metering:
        await metering.members.set_up(link.partition("?token=")[2], "", password)


async def signs_in(database_url: str, name: str, password: str = GOOD) -> bool:
    async with open_metering(Settings.load(database_url=database_url)) as metering:
        try:
            await metering.sessions.sign_in(name, password, None)
        except Unauthenticated:
            return False
        return True


async def test_a_member_is_made_with_a_link_and_signs_in_once_it_was_used(jangbu: Jangbu, database_url: str) -> None:
    made = jangbu.json("members", "add", "김민수", "--role", "owner")
    expected = {"name": "김민수", "role": "owner", "state": "invited", "has_password": False, "issuer": None}
    assert {name: made[name] for name in expected} == expected
    assert made["link"].startswith("/dashboard/set-up?token=")
    assert set(made) - set(expected) == {
        *("id", "created_at", "last_signed_in_at", "blocked_at", "link", "link_expires_at")
    }
    await use(database_url, made["link"])
    assert await signs_in(database_url, "김민수")
    (listed,) = jangbu.json("members", "list")["members"]
    assert (listed["id"], listed["state"], listed["has_password"]) == (made["id"], "active", True)
    assert listed["last_signed_in_at"] is not None


def test_people_are_told_what_the_link_is_good_for(jangbu: Jangbu) -> None:
    told = jangbu.ok("members", "add", "kim@shop.example").out
    assert "only time that the link is shown" in told
    assert "below the address of `jangbu serve`" in told
    public = jangbu.ok("members", "reset", "kim@shop.example", JANGBU_PUBLIC_URL="https://shop.example/meter/").out
    assert "https://shop.example/meter/dashboard/set-up?token=" in public
    assert "below the address" not in public


def test_members_are_listed_without_what_lets_them_in(jangbu: Jangbu) -> None:
    assert jangbu.json("members", "list") == {"members": []}
    assert "jangbu members add" in jangbu.ok("members", "list").out
    tokens = [jangbu.json("members", "add", name)["link"].partition("=")[2] for name in ("lee", "kim")]
    header, *lines = jangbu.ok("members", "list").out.splitlines()
    assert header.split()[:3] == ["name", "role", "state"]
    assert [line.split()[:3] for line in lines] == [["kim", "viewer", "invited"], ["lee", "viewer", "invited"]]
    assert "more: --limit 10" in jangbu.ok("members", "list", "--limit", "1").out
    shown = jangbu.ok("members", "list", "--json").out + jangbu.ok("members", "list").out
    assert not any(token in shown for token in tokens)


async def test_a_member_is_kept_out_and_let_in_again(jangbu: Jangbu, database_url: str) -> None:
    for name in ("kim", "lee"):
        await use(database_url, jangbu.json("members", "add", name, "--role", "owner")["link"])
    assert jangbu.json("members", "block", "LEE")["state"] == "blocked"
    assert not await signs_in(database_url, "lee")
    assert jangbu.json("members", "unblock", "lee")["state"] == "active"
    assert await signs_in(database_url, "lee")
    await use(database_url, jangbu.json("members", "reset", "lee")["link"], "korea-seoul-2026")
    assert not await signs_in(database_url, "lee")
    assert await signs_in(database_url, "lee", "korea-seoul-2026")
    assert jangbu.json("members", "role", "lee", "Finance")["role"] == "finance"
    for words in (("role", "kim", "viewer"), ("block", "kim")):
        refused = jangbu("members", *words)
        assert refused.code == 4
        assert "last owner" in refused.error_line
        assert jangbu("members", *words, "--json").error["code"] == "last_owner"


async def test_what_the_command_does_is_in_the_audit(jangbu: Jangbu, database_url: str) -> None:
    for words in (("add", "kim"), ("role", "kim", "finance"), ("block", "kim"), ("unblock", "kim"), ("reset", "kim")):
        jangbu.ok("members", *words)
    async with open_metering(Settings.load(database_url=database_url)) as metering:
        lines = await metering.audit.page(target="member:kim")
    done: list[tuple[str, Any]] = [(line.action, line.after) for line in reversed(lines)]
    assert done == [
        ("members.invite", {"role": "viewer"}),
        ("members.role", {"role": "finance"}),
        ("members.block", None),
        ("members.unblock", None),
        ("members.reset", None),
    ]
    assert {(line.actor.kind, line.actor.name) for line in lines} == {("command", getpass.getuser())}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("role", "nobody", "owner"), 3),
        (("block", "nobody"), 3),
        (("unblock", "nobody"), 3),
        (("reset", "nobody"), 3),
        (("add", "kim", "--role", "king"), 2),
        (("role", "kim", "king"), 2),
        (("add", ""), 2),
        (("list", "--limit", "0"), 2),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(jangbu: Jangbu, words: tuple[str, ...], code: int) -> None:
    refused = jangbu("members", *words)
    assert refused.code == code
    assert refused.error_line


def test_a_name_is_given_once(jangbu: Jangbu) -> None:
    jangbu.ok("members", "add", "Kim")
    assert "already" in jangbu("members", "add", "kim").error_line
