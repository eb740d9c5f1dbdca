"""Visitors who speak HTTP by hand: they send what no browser would, and see each answer as it came."""

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPResponse
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlencode, urlsplit

from jangbu.clock import SystemClock
from jangbu.config import Settings
from jangbu.dashboard.frame import COOKIE
from jangbu.dashboard.look import PREFIX
from jangbu.metering.people import people_of
from jangbu.storage.database import Database
from tests.dashboard.site import PASSWORD, Site

PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def leads_to(self) -> str:
        """Where a redirect leads to, nothing where it is none."""
        return str(self.headers["location"] or self.headers["hx-redirect"] or "")

    @property
    def token(self) -> str | None:
        """The token of a session that begins with this answer."""
        cookies = SimpleCookie("; ".join(self.headers.get_all("set-cookie", [])))
        return cookies[COOKIE].value if COOKIE in cookies else None


@dataclass(frozen=True)
class Visitor:
    """Somebody at the door; with the token and the forms' token of a session, somebody who is signed in."""

    site: Site
    token: str | None = None
    csrf: str = ""

    def get(self, path: str | bytes, **headers: str) -> Answer:
        """Ask for a page below the dashboard."""
        return self.ask("GET", path, headers=headers)

    def send(self, path: str, fields: Mapping[str, str] | bytes, **headers: str) -> Answer:
        """Send a form as a browser does, with the session's token in it; bytes are sent as they are."""
        body = fields if isinstance(fields, bytes) else urlencode({"csrf": self.csrf} | dict(fields)).encode()
        given = {"content-type": "application/x-www-form-urlencoded", "origin": self.site.url}
        return self.ask("POST", path, headers=given | headers, body=body)

    def ask(
        self, method: str, path: str | bytes, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """Send a request, with nothing in its head but what is said here; underscores in names stand for hyphens."""
        place = urlsplit(self.site.url)
        sent = {"host": place.netloc, "connection": "close"}
        if self.token is not None:
            sent["cookie"] = f"{COOKIE}={self.token}"
        if method == "POST":
            sent["content-length"] = str(len(body))
        sent |= {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        target = PREFIX.encode() + (path.encode() if isinstance(path, str) else path)
        head = [method.encode() + b" " + target + b" HTTP/1.1"]
        head += [f"{name}: {value}".encode() for name, value in sent.items()]
        assert place.hostname is not None
        with socket.create_connection((place.hostname, place.port or 80), timeout=PATIENCE_SECONDS) as connection:
            connection.sendall(b"\r\n".join(head) + b"\r\n\r\n" + body)
            with HTTPResponse(connection, method=method) as answer:
                answer.begin()
                return Answer(answer.status, answer.headers, answer.read())


def signed_in(site: Site, name: str, password: str = PASSWORD) -> Visitor:
    """Sign somebody in."""
    answer = Visitor(site).send("/sign-in", {"name": name, "password": password})
    assert answer.status == 303, answer.text
    assert answer.token is not None
    return Visitor(site, answer.token, asyncio.run(_csrf_of(site.database_url, answer.token)))


async def _csrf_of(database_url: str, token: str) -> str:
    database = await Database.connect(database_url)
    try:
        people = people_of(database, SystemClock(), project=Settings.load(database_url=database_url).project)
        session = await people.sessions.of(token)
        assert session is not None
        return session.csrf_token
    finally:
        await database.close()


def asked_of(address: str) -> dict[str, str]:
    """Give what an address asks for."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
