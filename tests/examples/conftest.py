"""One gateway for the whole run, and each example as the server that its README starts, where it is installed."""

import asyncio
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.conftest import address, drop_database, execute
from tests.examples.stage import (
    INSTALLED,
    ROOT,
    Stage,
    first_line,
    open_stage,
    plain_environment,
    running,
    wait_for_port,
)
from tests.ports import free_port

NEXTJS = ROOT / "examples" / "comic-nextjs"
FASTAPI = ROOT / "examples" / "comic-fastapi"
SECONDS_MAX = 60


@dataclass(frozen=True, slots=True)
class Comics:
    """An example that serves."""

    url: str

    def post(self, path: str, body: Any, user: str | None) -> tuple[int, list[dict[str, Any]]]:
        """Post JSON as a page would; give the status and what came, line by line where it is a stream."""
        headers = {"content-type": "application/json"} | ({"x-demo-user": quote(user)} if user else {})
        request = urllib.request.Request(f"{self.url}/api/comic/{path}", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS_MAX) as answer:
                return answer.status, _lines(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _lines(error.read())


@pytest.fixture(scope="session")
def stage(server: str, migrated: str) -> Iterator[Stage]:
    """Give a gateway, on a database of its own."""
    name = f"examples_{uuid4().hex}"
    asyncio.run(execute(server, f"CREATE DATABASE {name} TEMPLATE {migrated}"))
    with open_stage(address(server, name)) as opened:
        yield opened
    asyncio.run(drop_database(server, name))


@pytest.fixture(scope="session")
def nextjs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a copy of the example beside its installed packages."""
    if shutil.which("node") is None:
        pytest.skip("node is not on this machine")
    _require_installed("nextjs")
    folder = tmp_path_factory.mktemp("nextjs") / "comic"
    shutil.copytree(NEXTJS, folder, ignore=shutil.ignore_patterns("node_modules", "routes"))
    (folder / "node_modules").symlink_to(INSTALLED / "nextjs" / "node_modules")
    return folder


@pytest.fixture(scope="session")
def nextjs(stage: Stage, nextjs_folder: Path) -> Iterator[Comics]:
    """Give the routes for Next.js, behind the smallest server that calls them as Next.js does."""
    subprocess.run(["npm", "run", "--silent", "build", "--", "--log-level=warning"], cwd=nextjs_folder, check=True)
    command = ["node", str(Path(__file__).with_name("serve_routes.mjs")), "routes"]
    with running(command, _environment(stage), nextjs_folder) as process:
        yield Comics(first_line(process))


@pytest.fixture(scope="session")
def fastapi(stage: Stage) -> Iterator[Comics]:
    """Give the FastAPI app."""
    _require_installed("fastapi")
    port = free_port()
    python = str(INSTALLED / "fastapi" / "bin" / "python")
    command = [python, "-m", "uvicorn", "comics.app:app", "--port", str(port), "--log-level", "warning"]
    with running(command, _environment(stage), FASTAPI) as process:
        wait_for_port(port, process)
        yield Comics(f"http://127.0.0.1:{port}")


@pytest.fixture(params=["nextjs", "fastapi"])
def comics(request: pytest.FixtureRequest) -> Comics:
    """Give each example in turn."""
    served: Comics = request.getfixturevalue(request.param)
    return served


def _environment(stage: Stage) -> Mapping[str, str]:
    settings = {"GEMINI_BASE_URL": stage.url, "GEMINI_API_KEY": stage.key, "PYTHONDONTWRITEBYTECODE": "1"}
    return plain_environment() | settings


def _require_installed(name: str) -> None:
    if not (INSTALLED / name / "ready").exists():
        pytest.skip(f"build/examples/{name} is not installed: run `make build/examples/{name}/ready`")


def _lines(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body.splitlines()]
