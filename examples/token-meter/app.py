"""An app that shows its users their own tokens: the smallest backend for it."""

import os
from pathlib import Path
from string import Template
from urllib.parse import quote

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from yarl import URL

JANGBU = os.environ["JANGBU_URL"].rstrip("/")
KEY = os.environ["JANGBU_KEY"]
"""A key that makes tokens for views and does nothing else: ``jangbu keys create --app shop --role views``."""

HERE = Path(__file__).parent
PAGE = Template((HERE / "page.html").read_text())
POLICY = (
    f"default-src 'none'; script-src 'self' {JANGBU}; connect-src 'self' {JANGBU}; frame-src {JANGBU}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)


def signed_in(request: Request) -> str:
    """Tell who looks. This believes a cookie: put your own sign-in here."""
    return request.cookies.get("demo-user", "kim")


async def made_token(user: str) -> str:
    """Have Jangbu make a token for a user, who is signed in."""
    address = URL(f"{JANGBU}/api/v1/accounts/{quote(user, safe='')}/view-token", encoded=True)
    async with aiohttp.ClientSession(raise_for_status=True) as http:
        answer = await http.post(address, headers={"Authorization": f"Bearer {KEY}"})
        return str((await answer.json())["token"])


async def view_token(request: Request) -> Response:
    """Give who is signed in a token for their own view, and nobody else's."""
    return PlainTextResponse(await made_token(signed_in(request)), headers={"cache-control": "no-store"})


async def page(request: Request) -> Response:
    """Show the page, with the component and with the frame."""
    frame = f"{JANGBU}/dashboard/view?token={await made_token(signed_in(request))}&zone=Asia/Seoul"
    content = PAGE.substitute(jangbu=JANGBU, frame=frame.replace("&", "&amp;"))
    return HTMLResponse(content, headers={"content-security-policy": POLICY, "cache-control": "no-store"})


async def script(_request: Request) -> Response:
    """Give the page's own script."""
    return FileResponse(HERE / "page.js", media_type="text/javascript")


app = Starlette(
    routes=[Route("/", page), Route("/page.js", script), Route("/view-token", view_token, methods=["POST"])]
)
