"""A ledger whose users look at their own tokens, and pages of an app, at another origin, that show them."""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from jangbu.metering.meter import Metering
from jangbu.providers.gemini.parse import parse
from jangbu.storage import usage
from jangbu.testing import SettableClock
from tests.dashboard.site import Site

BUSY, OTHER, NEW, LOW, BROKE = "kim", "lee", "new", "low", "broke"
MARK = '"><img src=x onerror=alert(1)>'
"""What would run if anything read it as HTML: the name of a user, of a service and of a model."""
NAUGHTY = f"{MARK}<script>alert(2)</script>"
DAYS = 45
TOP_UP = "https://shop.example/tokens?from=meter&lang=ko"


@dataclass(frozen=True)
class Answer:
    """What the server answers, however it does."""

    status: int
    headers: Message
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Host:
    """Serves the pages of an app, each under a policy that lets nothing in but what the component needs."""

    url: str
    jangbu: str
    pages: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Under its path, a page with its policy."""
    token: str = ""
    """What is given to whoever posts, as an app's backend gives a token."""

    def put(self, path: str, content: str, *, head: str = "") -> str:
        """Have an English page with this in it; give its address."""
        page = (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title>{head}'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<script type="module" src="{self.jangbu}/dashboard/view/token-meter.js"></script></head>'
            f"<body><main><h1>Shop</h1>{content}</main></body></html>"
        )
        return self.put_whole(path, page, self.policy)

    def put_whole(self, path: str, page: str, policy: str = "") -> str:
        """Have a page that is whole; give its address."""
        self.pages[path] = page, policy
        return self.url + path

    @property
    def policy(self) -> str:
        """The page's policy; it allows no style at all, and no script or frame but Jangbu's."""
        return (
            f"default-src 'none'; script-src {self.jangbu}; connect-src {self.jangbu}; frame-src {self.jangbu}; "
            "base-uri 'none'; form-action 'none'"
        )


@contextmanager
def hosting() -> Iterator[Host]:
    """Serve an app's pages at an origin of their own. Where Jangbu is has to be said before a page is put."""
    host = Host("", "")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page, policy = host.pages.get(self.path, ("", ""))
            self._send(200 if page else 404, page, {"content-security-policy": policy})

        def do_POST(self) -> None:
            self._send(200, host.token, {})

        def _send(self, status: int, content: str, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in {"content-type": "text/html; charset=utf-8", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *_said: Any) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        host.url = f"http://127.0.0.1:{server.server_address[1]}"
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield host
        server.shutdown()
        serving.join()


@dataclass
class Stand:
    """A site, two apps' hosts of which the second is not allowed to show views, and the ledger beneath."""

    site: Site
    host: Host
    stranger: Host
    ledger: Metering
    log: Path
    clock: SettableClock
    numbers: "count[int]" = field(default_factory=count)

    async def token(self, user: str, seconds: int = 900) -> str:
        """Make a token of a user's view."""
        return (await self.ledger.view_tokens.make(user, seconds)).text

    def view(self, token: str | None, query: str = "", *, method: str = "GET", **headers: str) -> Answer:
        """Ask for the figures of a view as no browser would."""
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        return self.ask(f"/dashboard/view/data{query}", method=method, **headers)

    def ask(self, path: str, *, method: str = "GET", **headers: str) -> Answer:
        request = Request(self.site.url + path, method=method, headers=headers)
        try:
            with urlopen(request, timeout=30) as answer:
                return Answer(answer.status, answer.headers, answer.read().decode())
        except HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read().decode())

    async def record(
        self, user: str, total: int, *, service: str = "text_generation", model: str = "gemini-2.5-flash"
    ) -> None:
        """Record a call of a user, later than those before it."""
        self.clock.advance(timedelta(milliseconds=1))
        answer = {
            "candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}}],
            "usageMetadata": {
                "promptTokenCount": total // 3,
                "candidatesTokenCount": total - total // 3,
                "totalTokenCount": total,
            },
            "modelVersion": model,
            "responseId": f"view-{user}-{next(self.numbers)}",
        }
        found = parse(json.dumps(answer).encode())
        await self.ledger.record(user, service, found, metadata={"page": MARK})


async def fill(stand: Stand) -> None:
    """Open accounts of every kind, and record calls at all hours of the last days."""
    now, clock = datetime.now(UTC), stand.clock
    months = {(now - timedelta(days=day)).replace(day=1, hour=0) for day in range(0, DAYS + 31, 10)}
    await usage.make_partitions(stand.ledger.database, sorted(months))
    granted = {BUSY: 1_000_000_000, OTHER: 7_777_777, NEW: 1_000, LOW: 10_000, BROKE: 5_000, NAUGHTY: 1_000_000}
    for user, tokens in granted.items():
        await stand.ledger.accounts.create(user)
        await stand.ledger.accounts.grant(user, tokens, key="first")
    for number in range(120):
        clock.set(now - timedelta(hours=9 * number + 1, minutes=7 * number))
        service, model = ("chat", "gemini-2.5-pro") if number % 3 else ("text_generation", "gemini-2.5-flash")
        await stand.record(BUSY, 1_000 + 37 * number, service=service, model=model)
    clock.set(now - timedelta(minutes=5))
    await stand.record(OTHER, 1_234_567)
    await stand.record(LOW, 9_100)
    await stand.record(BROKE, 5_050)
    await stand.record(NAUGHTY, 500, service=MARK, model=f"gemini{MARK}")
    clock.set(now)


def money_words(text: str) -> list[str]:
    """Give the words in a text that speak of money."""
    return re.findall(r"\$|USD|cost|charge|nano|unpriced|price", text, re.IGNORECASE)
