"""``alerts findings``: what somebody should look at is listed, acknowledged and resolved, by who runs the command."""

import getpass
import json
from uuid import uuid4

from tests.cli.conftest import Jangbu

ME = getpass.getuser()


def record(jangbu: Jangbu, number: int, *, model: str = "gemini-2.5-flash", more: int = 5) -> str:
    """Record a call whose counts do not add up by so many tokens; give its id."""
    sent = {
        "candidates": [],
        "modelVersion": model,
        "responseId": f"r-{number}",
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 20, "totalTokenCount": 30 + more},
    }
    found = jangbu.json("record", "kim", "--service", "chat", "--response", "-", stdin=json.dumps(sent).encode())
    return str(found["id"])


def test_a_finding_is_listed_acknowledged_and_resolved_once(jangbu: Jangbu) -> None:
    assert jangbu.ok("alerts", "findings").out == "no findings\n"
    jangbu.ok("accounts", "create", "kim")
    call = record(jangbu, 1)
    [new] = jangbu.json("alerts", "findings")["findings"]
    assert (new["call"], new["user"], new["kind"], new["state"]) == (call, "kim", "anomaly", "new")
    named = ("kim", call, "anomaly")
    assert jangbu.ok("alerts", "acknowledge", *named).out == f"anomaly of call {call} is acknowledged\n"
    again = jangbu.ok("alerts", "acknowledge", *named).out
    assert again == f"anomaly of call {call} was acknowledged before by {ME}, nothing changed\n"
    ended = jangbu.json("alerts", "resolve", *named, "--reason", "it counts so")
    assert (ended["is_new"], ended["state"], ended["resolved_by"]) == (True, "resolved", ME)
    assert "was resolved before" in jangbu.ok("alerts", "resolve", *named, "--reason", "again").out
    assert jangbu.json("alerts", "findings")["findings"] == []
    [row] = jangbu.json("alerts", "findings", "--state", "resolved")["findings"]
    assert row["resolution"] == "it counts so"
    assert "it counts so" in jangbu.ok("alerts", "findings", "--state", "all").out


def test_findings_are_found_by_state_kind_and_user_and_what_is_none_is_told(jangbu: Jangbu) -> None:
    jangbu.ok("accounts", "create", "kim")
    call = record(jangbu, 1, model="gemini-0-nobody-prices", more=0)
    for words, number in (
        (("--kind", "unpriced", "--user", "kim", "--state", "new"), 1),
        (("--kind", "late"), 0),
        (("--state", "acknowledged"), 0),
    ):
        assert len(jangbu.json("alerts", "findings", *words)["findings"]) == number, words
    refused = jangbu("alerts", "resolve", "kim", call, "unpriced", "--reason", "free")
    assert refused.code == 2
    assert "ends by itself" in refused.error_line
    assert jangbu("alerts", "findings", "--state", "lost").code == 2
    assert jangbu("alerts", "findings", "--kind", "odd").code == 2
    assert jangbu("alerts", "acknowledge", "kim", "x", "unpriced").code == 2
    assert jangbu("alerts", "acknowledge", "kim", str(uuid4()), "unpriced").code == 3
