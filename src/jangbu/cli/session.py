"""One run of the command: its common options, its ledger and what it shows."""

import re
import shlex
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jangbu.cli.output import json_text, write_data
from jangbu.errors import InvalidSettings

if TYPE_CHECKING:
    from jangbu.config import Settings
    from jangbu.metering.meter import Metering

__all__ = ["Session"]


@dataclass(frozen=True, slots=True)
class Session:
    """The options that every command takes; None means that the environment, the file or the default decides."""

    as_json: bool = False
    database_url: str | None = None
    data_dir: str | None = None
    project: str | None = None

    def over(self, outer: "Session") -> "Session":
        """Give these options where they were given, else the ones that stood before the verb."""
        return replace(
            self,
            as_json=self.as_json or outer.as_json,
            database_url=outer.database_url if self.database_url is None else self.database_url,
            data_dir=outer.data_dir if self.data_dir is None else self.data_dir,
            project=outer.project if self.project is None else self.project,
        )

    def settings(self) -> "Settings":
        """Load the settings with the options on top. Raises InvalidSettings.

        Who names a data directory on the command line means the ledger in it, whatever server the environment names.
        """
        from jangbu.config import Settings

        if self.data_dir is not None and self.database_url is not None:
            raise InvalidSettings("two ledgers are named", hint="give either --database-url or --data-dir")
        settings = Settings.load(**self.given())
        if self.data_dir is not None:
            return settings.model_copy(update={"database_url": None})
        if settings.database_url is not None:
            _check_address(settings.database_url.get_secret_value())
        return settings

    def given(self) -> dict[str, str]:
        """Give the settings that the command line names."""
        options = {"database_url": self.database_url, "data_dir": self.data_dir, "project": self.project}
        return {name: value for name, value in options.items() if value is not None}

    @asynccontextmanager
    async def ledger(self, *, adopts: bool = True) -> "AsyncIterator[Metering]":
        """Open the ledger that the settings name, for as long as the context lasts.

        Alerts that a command raises are left to whoever lives longer. For ``adopts`` see ``open_metering``.
        """
        settings = self.settings()
        from jangbu.wiring import open_metering

        async with open_metering(settings, delivers=False, adopts=adopts) as metering:
            yield metering

    def readdressed(self, hint: str) -> str:
        """Have the commands that a hint names mean the ledger and the project that this run meant."""
        options = {"--data-dir": self.data_dir, "--project": self.project}
        more = "".join(f" {option} {shlex.quote(value)}" for option, value in options.items() if value is not None)
        return re.sub(r"`jangbu ([^`]+)`", lambda found: f"`jangbu {found[1]}{more}`", hint)

    def show(self, data: object, text: Callable[[], str]) -> None:
        """Write ``data`` as one line of JSON where that was asked for, else the text for people."""
        write_data(json_text(data) if self.as_json else text())

    def agrees(self, question: str) -> bool:
        """Ask the person at the terminal; where nobody can answer, nobody agreed."""
        if self.as_json or sys.stdin is None or not sys.stdin.isatty():
            return False
        import typer

        return typer.confirm(question, err=True)

    @property
    def shows_progress(self) -> bool:
        """Whether somebody watches: bars go to standard error, and only to a terminal."""
        return not self.as_json and sys.stderr is not None and sys.stderr.isatty()


def _check_address(address: str) -> None:
    """Refuse what is no address of PostgreSQL before anything tries to reach it; the password is never repeated."""
    from urllib.parse import urlsplit

    hint = "write postgresql://user:password@host:5432/database"
    try:
        found = urlsplit(address)
        _ = found.port
    except ValueError:
        raise InvalidSettings("the database address cannot be read", hint=hint) from None
    if found.scheme not in ("postgresql", "postgres"):
        raise InvalidSettings("the database address is no PostgreSQL address", hint=hint)
