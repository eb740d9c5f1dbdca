"""What the settings open to a user: their own folder, and by no name anybody else's."""

import posixpath
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.errors import InvalidSettings, NotPermitted
from jangbu.gateway.allowed import Allowed, folder_of
from jangbu.providers.gemini.app_resources import AppResource, Use

CORPUS = "projects/p/locations/l/ragCorpora/1"
OPEN = Allowed.read("gs://users/{user}/, gs://shared/public/", f"{CORPUS}, fileSearchStores/s")

users = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), max_size=30) | st.sampled_from(
    ("", ".", "..", "kim", "Kim", "kim/lee", "kim%2Flee", "kim=2Flee", "../lee", "{user}", "김철수", "kim@shop.example")
)
pieces = ("a", "/", ".", "..", "%2e", "%2F", "\\", "kim", "lee", "=", "?", "#", "*", "\n", "가")
rests = st.lists(st.sampled_from(pieces), max_size=12).map("".join)


def opens(user: str, name: str, use: Use = Use.READ) -> bool:
    try:
        OPEN.require(user, AppResource(use, name))
    except NotPermitted:
        return False
    return True


@pytest.mark.parametrize(
    ("user", "name"),
    [
        ("kim", "gs://users/kim/a.png"),
        ("kim", "gs://users/kim/"),
        ("kim", "gs://users/kim/2026/여름 휴가.png"),
        ("kim/lee", "gs://users/kim=2Flee/a.png"),
        ("..", "gs://users/=2E=2E/a.png"),
        ("kim@shop.example", "gs://users/kim=40shop.example/a.png"),
        ("김", "gs://users/=EA=B9=80/a.png"),
    ],
)
def test_a_user_reads_and_writes_in_a_folder_of_their_own(user: str, name: str) -> None:
    assert opens(user, name, Use.READ)
    assert opens(user, name, Use.WRITE)


def test_what_is_for_all_is_for_all_to_read() -> None:
    assert opens("kim", "gs://shared/public/a.png", Use.READ)
    assert not opens("kim", "gs://shared/public/a.png", Use.WRITE)


@pytest.mark.parametrize(
    "name",
    [
        "gs://users/lee/a.png",
        "gs://users/kim2/a.png",
        "gs://users/kim",
        "gs://users/",
        "gs://users/Kim/a.png",
        "gs://Users/kim/a.png",
        "GS://users/kim/a.png",
        " gs://users/kim/a.png",
        "gs://users/kim/../lee/a.png",
        "gs://users/kim/..",
        "gs://users/kim/./a.png",
        "gs://users/kim/%2e%2e/lee/a.png",
        "gs://users/kim/%252e%252e/lee/a.png",
        "gs://users/kim/..\\lee\\a.png",
        "gs://users/kim//../lee/a.png",
        "gs://users//kim/a.png",
        "gs://users/kim/a\n.png",
        "gs://users/k%69m/a.png",
        "https://storage.googleapis.com/users/kim/a.png",
        "gs://shared/publicity/a.png",
        "gs://shared/a.png",
        "kim/a.png",
        "",
    ],
)
def test_no_other_name_is_open(name: str) -> None:
    assert not opens("kim", name, Use.READ)
    assert not opens("kim", name, Use.WRITE)


@given(one=users, other=users, rest=rests)
def test_nobody_reaches_into_anothers_folder(one: str, other: str, rest: str) -> None:
    name = f"gs://users/{folder_of(other)}/{rest}"
    if one != other:
        assert not opens(one, name)


@given(user=users, rest=rests)
def test_what_is_open_lies_where_it_seems_to_lie_however_it_is_read(user: str, rest: str) -> None:
    folder = f"/{folder_of(user)}/"
    name = f"gs://users{folder}{rest}"
    if opens(user, name):
        path = name.removeprefix("gs://users")
        assert unquote(path) == path
        assert posixpath.normpath(path.replace("\\", "/")).startswith(folder.rstrip("/"))
        assert "//" not in path


@given(user=users)
def test_a_folder_is_one_segment_of_a_name(user: str) -> None:
    folder = folder_of(user)
    assert not set(folder) & set("/\\%{}")
    assert folder not in (".", "..")


def test_who_has_no_id_has_no_folder() -> None:
    assert not opens("", "gs://users//a.png")
    assert not opens("", "gs://users/a.png")


def test_names_are_open_as_they_are_written_in_the_setting() -> None:
    assert opens("kim", "fileSearchStores/s", Use.SEARCH)
    assert opens("kim", CORPUS, Use.SEARCH)
    for name in ("fileSearchStores/s2", "fileSearchStores/S", "fileSearchStores/s/", CORPUS[:-1]):
        assert not opens("kim", name, Use.SEARCH)
    assert not opens("kim", "fileSearchStores/s", Use.NEVER)


def test_without_settings_nothing_is_open() -> None:
    nothing = Allowed.read("", " , ")
    for use, name in ((Use.READ, "gs://users/kim/a"), (Use.SEARCH, ""), (Use.WRITE, ""), (Use.MODEL, "m")):
        with pytest.raises(NotPermitted):
            nothing.require("kim", AppResource(use, name))


@pytest.mark.parametrize(
    "setting",
    [
        "bucket/{user}/",
        "gs://bucket",
        "gs://bucket/{user}",
        "gs://{user}/a/",
        "gs://bucket/x{user}/",
        "gs://bucket/{name}/",
        "gs://bucket/a/../b/",
        "gs://bucket//a/",
        "gs://bucket/a%2Fb/",
        "GS://bucket/a/",
        "https://storage.googleapis.com/bucket/",
    ],
)
def test_a_setting_that_names_no_folder_is_refused(setting: str) -> None:
    with pytest.raises(InvalidSettings, match="allowed_storage"):
        Allowed.read(setting, "")


@pytest.mark.parametrize(
    "setting",
    [
        "gs://bucket/{user}/,gs://bucket/public/",
        "gs://bucket/public/a/,gs://bucket/{user}/",
        "gs://bucket/{user}/,gs://bucket/a/{user}/",
        "gs://bucket/{user}/in/,gs://bucket/a/",
    ],
)
def test_folders_are_refused_where_a_user_could_be_named_like_one(setting: str) -> None:
    with pytest.raises(InvalidSettings, match="allowed_storage"):
        Allowed.read(setting, "")


@pytest.mark.parametrize(
    "setting",
    ["gs://bucket/users/{user}/,gs://bucket/public/", "gs://one/{user}/,gs://two/a/", "gs://b-1/{user}/,gs://b-1/"],
)
def test_folders_that_never_meet_are_taken(setting: str) -> None:
    assert Allowed.read(setting, "").storage == tuple(setting.split(","))
