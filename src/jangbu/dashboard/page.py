"""What a page is: declared once, with the roles that may see it and those that may do what is done on it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jangbu.api.rest.declared import FIGURES, MONEY, OPERATIONS, READERS, WRITERS
from jangbu.dashboard.look import Look
from jangbu.domain.keys import Role
from jangbu.metering.exports import Table

__all__ = [
    "FIGURES",
    "FORM_BYTES_MAX",
    "MONEY",
    "OPERATIONS",
    "OWNERS",
    "READERS",
    "WITH_BOM",
    "WRITERS",
    "Action",
    "Answered",
    "Page",
    "Read",
    "Show",
]

OWNERS = frozenset({Role.OWNER})
"""Who may say who else may see and do things."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What is shown in the place of a page's own template; after a form, once: no address leads to it again."""

    template: str
    values: Mapping[str, Any]


Show = Callable[[Look], Awaitable[Mapping[str, Any] | Answered | str]]
"""Reads what a page shows: the values of its template, another template where there is nothing to fill its own, or the
address of the page that has what is asked for.
"""

Act = Callable[[Look], Awaitable[str | Answered]]
"""Does what a form asks for, and gives the address to go on to, or the page that answers."""


FORM_BYTES_MAX = 65_536


@dataclass(frozen=True, slots=True)
class Action:
    """Something that is done by a form. One that may be larger than others is read of those alone who may do it."""

    act: Act
    roles: frozenset[Role]
    bytes_max: int = FORM_BYTES_MAX


Read = Callable[[Look], Awaitable[Table]]
"""Reads what a page shows a part of, whole, for a file."""
WITH_BOM = "1"
"""What an address asks for under ``bom`` to have a CSV begin with a byte-order mark."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page. Its title is the text ``page.<name>`` and its template ``<name>.html``.

    Its forms post to ``<path>/<action>``; its files are at ``<path>/<name>.<format>``, for whoever may see the page.
    ``in_menu`` says whether the menu leads there, and ``lives`` whether it can update itself.
    """

    path: str
    name: str
    roles: frozenset[Role]
    show: Show
    actions: Mapping[str, Action] = field(default_factory=dict)
    in_menu: bool = True
    lives: bool = False
    files: Mapping[str, Read] = field(default_factory=dict)

    @property
    def part(self) -> str:
        """Give the entry of the menu that the page belongs to: ``settings_keys`` is a page of ``settings``."""
        return self.name.partition("_")[0]
