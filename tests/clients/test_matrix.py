"""Real clients, unmodified but for their URL: each shows its answer, and each answer is charged exactly."""

import json
import os
import subprocess
from typing import Any

import pytest

from jangbu.testing.composing.composition import words
from tests.clients.matrix import CLIENTS, Client
from tests.clients.targets import Target, Visit

SECONDS_MAX = 60
FREE_SURFACES = frozenset({"count", "models"})
SPOKEN_BY_THE_FAKE = words(10_000)
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT")
CELLS = [
    pytest.param(client, surface, id=f"{client.name}-{surface}") for client in CLIENTS for surface in client.surfaces
]


@pytest.fixture(autouse=True)
def _installed(client: Client, request: pytest.FixtureRequest) -> None:
    if client.missing():
        pytest.skip(client.missing())
    if client.environment == "node":
        request.getfixturevalue("node_drivers")


@pytest.mark.parametrize(("client", "surface"), CELLS)
def test_what_a_client_uses_is_charged_to_its_user(client: Client, surface: str, target: Target) -> None:
    visit = target.visit(secure=surface in client.secure, vertex=client.vertex)
    found = drive(client, surface, visit)
    assert_what_it_shows_is_charged(found, visit)
    if surface in FREE_SURFACES or (surface == "files" and found["text"] is None):
        assert visit.charged.expected() == []
    else:
        assert visit.charged.expected() != []


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_key_of_the_users_own_over_tls_is_enough(client: Client, target: Target) -> None:
    visit = target.visit(secure=True, own_key=True, vertex=client.vertex)
    found = drive(client, "generate", visit)
    assert_what_it_shows_is_charged(found, visit)
    assert len(visit.charged.expected()) == 1


def drive(client: Client, surface: str, visit: Visit) -> dict[str, Any]:
    """Run the client's driver as a process of its own and give what it found out."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment = kept | visit.environment() | {"GENAI_PACKAGE": client.package, "PYTHONWARNINGS": "ignore"}
    ended = subprocess.run(
        client.command(surface), env=environment, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
    )
    assert ended.returncode == 0, f"{ended.stderr[-4000:]}\n{ended.stdout[-1000:]}"
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def assert_what_it_shows_is_charged(found: dict[str, Any], visit: Visit) -> None:
    for line in (found["text"] or "").splitlines():
        assert line
        assert line in SPOKEN_BY_THE_FAKE
    assert found["text"] != ""
    assert found["text"] is not None or found["facts"]
    assert [name for name, holds in found["facts"].items() if not holds] == []
    if found["total"] is not None:
        assert found["total"] == sum(charge.total for charge in visit.charged.expected())
    visit.charged.assert_exact()
