"""What of the app's own a user's call may name: nothing, but for what the settings open.

Google reads and writes Cloud Storage as the app, whoever asked, so each user has a folder of their own, and what all
may use is named one by one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Self
from urllib.parse import quote

from jangbu.errors import InvalidSettings, NotPermitted
from jangbu.providers.gemini.app_resources import AppResource, Use

__all__ = ["Allowed", "folder_of"]

USER = "{user}"

_NAME_SHOWN_MOST = 100
_BUCKET = r"gs://[a-z0-9][a-z0-9._-]{1,220}/"
# No segment of a name climbs, is empty, or is an escape: whoever reads the name, it lies where it seems to lie.
_SEGMENT = r"(?!\.{1,2}(?:/|$))[^/\\%{}]+"
_OBJECT = re.compile(f"{_BUCKET}(?:{_SEGMENT}/)*(?:{_SEGMENT})?")
_FOLDER = re.compile(rf"{_BUCKET}(?:(?:{_SEGMENT}|\{{user\}})/)*")


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the settings open. ``storage`` holds folders; where ``{user}`` stands in one, each user has their own."""

    storage: tuple[str, ...] = ()
    resources: frozenset[str] = frozenset()

    @classmethod
    def read(cls, storage: str, resources: str) -> Self:
        """Read two settings whose members are apart by commas. Raises InvalidSettings."""
        folders = _members(storage)
        for folder in folders:
            if _FOLDER.fullmatch(folder) is None:
                raise InvalidSettings(
                    f"allowed_storage names {folder[:_NAME_SHOWN_MOST]!r}, which is no folder",
                    hint=f"write gs://bucket/{USER}/ or gs://bucket/public/, with a slash at the end",
                )
        for one, other in combinations(folders, 2):
            if _may_meet(one, other):
                raise InvalidSettings(
                    f"allowed_storage gives a user with a certain id what is beneath both {one} and {other}",
                    hint=f"let users have a place of their own: gs://bucket/users/{USER}/",
                )
        return cls(folders, frozenset(_members(resources)))

    def require(self, user: str, named: AppResource) -> None:
        """Let a user's call name this. Raises NotPermitted where it is not open to it."""
        if not self._opens(user, named):
            raise _refused(named)

    def _opens(self, user: str, named: AppResource) -> bool:
        match named.use:
            case Use.READ:
                return self._holds(user, named.name, self.storage)
            case Use.WRITE:
                # What all may write to, one user could change beneath another.
                return self._holds(user, named.name, (folder for folder in self.storage if USER in folder))
            case Use.SEARCH:
                return named.name in self.resources
            case Use.MODEL | Use.NEVER:
                return False

    def _holds(self, user: str, name: str, folders: Iterable[str]) -> bool:
        if _OBJECT.fullmatch(name) is None or not name.isprintable():
            return False
        return any(name.startswith(folder.replace(USER, folder_of(user))) for folder in folders)


def folder_of(user: str) -> str:
    """Give the name of a user's folder: the id, with ``=2F`` for a slash and so on, and another for each user.

    An equals sign marks what is escaped, because no reader of an address takes it for an escape and undoes it.
    """
    folder = quote(user, safe="").replace("%", "=")
    return folder.replace(".", "=2E") if not folder.strip(".") else folder


def _may_meet(one: str, other: str) -> bool:
    """Tell whether the folder of some user is, holds or lies in a folder that is not theirs alone."""
    pairs = tuple(zip(one.rstrip("/").split("/"), other.rstrip("/").split("/"), strict=False))
    return all(a == b or USER in (a, b) for a, b in pairs) and any(a != b for a, b in pairs)


def _members(setting: str) -> tuple[str, ...]:
    return tuple(filter(None, (member.strip() for member in setting.split(","))))


def _refused(named: AppResource) -> NotPermitted:
    shown = named.name[:_NAME_SHOWN_MOST]
    match named.use:
        case Use.NEVER:
            return NotPermitted(f"{named.name} is not offered: {named.reason}")
        case Use.READ | Use.WRITE:
            return NotPermitted(
                f"{shown} may not be {'read' if named.use is Use.READ else 'written'}",
                hint="JANGBU_ALLOWED_STORAGE opens folders, which are named like gs://bucket/folder/object",
            )
        case Use.SEARCH | Use.MODEL:
            return NotPermitted(f"{shown} may not be used", hint="JANGBU_ALLOWED_RESOURCES opens what it names")
