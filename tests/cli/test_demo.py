"""The demo as people run it: a process of its own, on its own ledger or a given one, held beside the raw rows."""

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from rich.cells import cell_len

from tests.cli.conftest import Jangbu
from tests.providers.corpus import ABSENT, CORPUS, recorded

TRACES = Path(os.environ.get("JANGBU_TRACES", Path(__file__).parents[3] / "shared" / "traces"))
TRACE_NAMES = (
    "azure2023_code",
    "azure2023_conv",
    "mooncake_conversation",
    "servegen_windows_10min",
    "servegen_token_quantiles_6h",
)
CALLS = "60"
BY_USER = """
SELECT a.user_id, count(*), sum(prompt + tool), sum(candidates + thoughts), sum(total), sum(cost_nano)
FROM jangbu.usage AS u JOIN jangbu.accounts AS a USING (account_id) GROUP BY a.user_id
"""
BY_MODEL = """
SELECT s.name, m.name, count(*), sum(prompt + tool), sum(candidates + thoughts), sum(total), sum(cost_nano)
FROM jangbu.usage JOIN jangbu.services AS s USING (service_id) JOIN jangbu.models AS m USING (model_id)
GROUP BY s.name, m.name
"""
FIGURES = ("calls", "prompt_tokens", "completion_tokens", "total_tokens", "cost_nano")


async def rows(address: str, query: str) -> set[tuple[Any, ...]]:
    connection = await asyncpg.connect(address)
    try:
        return {
            tuple(int(cell) if hasattr(cell, "as_tuple") else cell for cell in row)
            for row in await connection.fetch(query)
        }
    finally:
        await connection.close()


def figures(line: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(line[name] for name in (*names, *FIGURES))


def facts_of(ended: Any) -> dict[str, Any]:
    assert ended.code == 0, ended.err
    report: dict[str, Any] = ended.json
    assert report["ok"] is True
    assert report["comparison"]["differences"] == []
    assert report["verify"]["mismatches"] == []
    return report


def own_ledger(offline: Jangbu, directory: Path) -> Jangbu:
    """Give the command without any named ledger, with a directory of its own for temporary files."""
    environment = {name: value for name, value in offline.environment.items() if name != "JANGBU_DATABASE_URL"}
    return Jangbu(offline.directory, {**environment, "TMPDIR": str(directory)})


def left_behind(directory: Path) -> list[str]:
    """Give the files in a directory, and the command lines of processes that name it."""
    found = [str(path) for path in directory.iterdir()]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(directory) in line and process.name != str(os.getpid()):
            found.append(line)
    return found


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "temporary"
    made.mkdir()
    return made


async def test_what_is_reported_is_what_the_raw_rows_say(jangbu: Jangbu, database_url: str) -> None:
    report = facts_of(jangbu.ok("demo", "--calls", CALLS, "--json"))
    assert {figures(line, "user") for line in report["by_user"]} == await rows(database_url, BY_USER)
    assert {figures(line, "service", "model") for line in report["by_model"]} == await rows(database_url, BY_MODEL)
    assert report["comparison"]["compared"] == report["totals"]["calls"] == report["verify"]["records"]
    assert report["comparison"]["tokens"] == report["totals"]["total_tokens"]
    assert sum(day["total_tokens"] for day in report["days"]) == report["totals"]["total_tokens"]
    assert sum(bar["tokens"] for bar in report["bars"]["steps"]) == report["totals"]["total_tokens"]
    assert {"cost", "counts", "balances"} <= set(report["verify"]["checked"])


async def test_a_user_who_runs_dry_is_refused_and_never_below_zero(jangbu: Jangbu, database_url: str) -> None:
    report = facts_of(jangbu.ok("demo", "--calls", CALLS, "--json"))
    (refused,) = report["calls"]["refused"]
    assert refused["calls"] > 0
    assert 0 <= refused["available"] < refused["needed"]
    balances = await rows(database_url, "SELECT user_id, held_tokens, available FROM jangbu.user_tokens")
    assert {held for _, held, _ in balances} == {0}
    assert all(available >= 0 for _, _, available in balances)
    assert len(balances) == report["users"] == 200


async def test_every_kind_of_call_is_made_and_failures_deduct_nothing(jangbu: Jangbu, database_url: str) -> None:
    report = facts_of(jangbu.ok("demo", "--calls", "120", "--json"))
    assert {why.split()[0] for why in report["calls"]["failed"]} == {"400", "429", "500", "503", "prompt", "stream"}
    services = {line["service"] for line in report["by_model"]}
    assert services == {"text_generation", "image_generation", "embedding", "chat"}
    surfaces = await rows(database_url, "SELECT DISTINCT surface::text, source::text FROM jangbu.usage")
    assert {
        ("generate_content", "reported"),
        ("stream_generate_content", "reported"),
        ("stream_generate_content", "partial"),
        ("embed_content", "reported"),
        ("embed_content", "count_tokens"),
        ("generate_content", "none"),
    } <= surfaces
    assert report["comparison"]["broken_off"] == 1
    ended = report["calls"]
    assert ended["answered"] + sum(ended["failed"].values()) + sum(each["calls"] for each in ended["refused"]) == 120


def test_the_same_seed_gives_the_same_figures(jangbu: Jangbu) -> None:
    first, again, other = (
        facts_of(jangbu.ok("demo", "--calls", "30", "--seed", seed, "--project", project, "--json"))
        for project, seed in (("first", "7"), ("again", "7"), ("other", "8"))
    )
    for part in ("by_user", "by_model", "totals", "calls"):
        assert first[part] == again[part]
    assert first["by_user"] != other["by_user"]


def test_a_project_with_users_is_left_alone(jangbu: Jangbu) -> None:
    jangbu.ok("accounts", "create", "kim", "--project", "mine")
    refused = jangbu("demo", "--project", "mine", "--calls", "1")
    assert refused.code == 2
    assert "has users already" in refused.error_line


def test_a_ledger_of_its_own_is_gone_afterwards(offline: Jangbu, directory: Path) -> None:
    ended = own_ledger(offline, directory)("demo", "--calls", CALLS)
    assert ended.code == 0, ended.err
    assert "embedded, temporary" in ended.out
    assert "every token is accounted for" in ended.out
    assert ended.err.splitlines()[-1] == f"calls: {CALLS} of {CALLS}"
    assert left_behind(directory) == []


def test_calls_of_the_app_and_answers_recorded_have_different_names(jangbu: Jangbu) -> None:
    lines = jangbu("demo", "--calls", "5").out.splitlines()
    assert any(line.startswith("made ") and " 5 calls by google-genai" in line for line in lines)
    assert any(
        line.startswith("recorded ") and " answers: each answer of Gemini is one record" in line for line in lines
    )
    users = lines[next(index for index, line in enumerate(lines) if line.startswith("Users")) + 1]
    assert users.split()[:3] == ["user", "answers", "prompt"]


def test_users_with_korean_names_stand_in_line(jangbu: Jangbu) -> None:
    lines = jangbu("demo", "--calls", CALLS).out.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("Users"))
    shown = lines[start + 1 : lines.index("", start)]
    assert any("\uac00" <= line[0] <= "\ud7a3" for line in shown)
    assert len({cell_len(line) for line in shown}) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_demo_leaves_nothing(offline: Jangbu, directory: Path, number: int, code: int) -> None:
    command = [sys.executable, "-m", "jangbu", "demo", "--calls", "1600"]
    started = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(own_ledger(offline, directory).environment),
        cwd=offline.directory,
    )
    assert started.stderr is not None
    assert started.stderr.readline().startswith(b"calls: ")
    started.send_signal(number)
    out, _ = started.communicate(timeout=60)
    assert (started.returncode, out) == (code, b"")
    assert left_behind(directory) == []


def trace_of(requests: Sequence[tuple[str, int, int]]) -> str:
    lines = [f"{index}.5,{user},app,{prompt},{completion}" for index, (user, prompt, completion) in enumerate(requests)]
    return "\n".join(["timestamp,user,model,prompt_tokens,completion_tokens", *lines])


def test_a_trace_is_followed_to_the_token(jangbu: Jangbu, tmp_path: Path) -> None:
    requests = [(user, 10 * index + 1, index) for index in range(1, 9) for user in ("민지", "kim", "busy", "busy")]
    file = tmp_path / "trace.csv.gz"
    file.write_bytes(gzip.compress(trace_of(requests).encode()))
    report = facts_of(jangbu.ok("demo", "--trace", str(file), "--json"))
    used = {
        line["user"]: (line["calls"], line["prompt_tokens"], line["completion_tokens"]) for line in report["by_user"]
    }
    asked = {user: [each for each in requests if each[0] == user] for user in ("민지", "kim")}
    assert {user: used[user] for user in asked} == {
        user: (len(each), sum(row[1] for row in each), sum(row[2] for row in each)) for user, each in asked.items()
    }
    assert [each["user"] for each in report["calls"]["refused"]] == ["busy"]
    assert {line["service"] for line in report["by_model"]} == {"app"}
    assert report["trace"] == {"name": "trace.csv.gz", "what": "the first 32 requests", "seconds": 31}


@pytest.mark.parametrize("name", TRACE_NAMES)
def test_a_recorded_trace_is_followed(jangbu: Jangbu, name: str) -> None:
    file = TRACES / f"{name}.csv.gz"
    if not file.is_file():
        pytest.skip(f"the traces are absent: set JANGBU_TRACES to them (looked in {TRACES})")
    report = facts_of(jangbu.ok("demo", "--trace", str(file), "--calls", "20", "--json"))
    assert report["calls"]["planned"] == 20
    assert report["totals"]["calls"] == report["calls"]["answered"]


def body(prompt: int, candidates: int) -> dict[str, Any]:
    return {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "장부"}]}, "finishReason": "STOP"}],
        "usageMetadata": {
            "promptTokenCount": prompt,
            "candidatesTokenCount": candidates,
            "totalTokenCount": prompt + candidates,
        },
        "modelVersion": "gemini-2.5-flash",
        "responseId": "the-same-everywhere",
    }


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """Write an answer, a stream, an error and what is no answer, with what is expected of them."""
    made = tmp_path / "answers"
    made.mkdir()
    (made / "one.json").write_text(json.dumps(body(7, 5)))
    (made / "two.sse").write_text(f"data: {json.dumps(body(20, 1))}\r\n\r\n")
    (made / "error.json").write_text(json.dumps({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}))
    (made / "broken.json").write_text("nothing of this is an answer")
    expect(made, "one.json", {"prompt": 7, "candidates": 5, "total": 12})
    expect(made, "two.sse", {"prompt": 20, "candidates": 1, "total": None})
    expect(made, "error.json", None)
    return made


def expect(directory: Path, name: str, counts: dict[str, int | None] | None) -> None:
    with (directory / "index.jsonl").open("a") as index:
        index.write(json.dumps({"file": name, "expected": counts}) + "\n")


async def test_recorded_answers_are_metered_and_compared(jangbu: Jangbu, database_url: str, answers: Path) -> None:
    report = facts_of(jangbu.ok("demo", "--calls", "5", "--responses", str(answers), "--json"))
    found = report["responses"]
    assert (found["files"], found["recorded"], found["compared"], found["differences"]) == (4, 2, 3, [])
    assert [each["file"] for each in found["unreadable"]] == ["broken.json"]
    query = "SELECT metadata ->> 'file', total_tokens FROM jangbu.token_usage WHERE service_type = 'recorded'"
    assert await rows(database_url, query) == {("one.json", 12), ("two.sse", 21)}


def test_a_count_that_is_not_the_expected_one_ends_with_code_6(jangbu: Jangbu, answers: Path) -> None:
    expect(answers, "broken.json", {"prompt": 3, "candidates": 0, "total": 3})
    expect(answers, "one.json", {"prompt": 8, "candidates": 5, "total": 12})
    ended = jangbu("demo", "--calls", "5", "--responses", str(answers), "--json")
    assert ended.code == 6
    assert ended.error["code"] == "integrity_mismatch"
    assert ended.json["ok"] is False
    assert ended.json["responses"]["differences"] == [
        {"file": "broken.json", "what": "prompt", "expected": 3, "found": None},
        {"file": "broken.json", "what": "total", "expected": 3, "found": None},
        {"file": "one.json", "what": "prompt", "expected": 8, "found": 7},
    ]


@ABSENT
def test_the_recorded_answers_of_gemini_are_metered_to_the_token(jangbu: Jangbu) -> None:
    report = facts_of(jangbu.ok("demo", "--calls", "5", "--responses", str(CORPUS), "--json"))
    found = report["responses"]
    assert (found["compared"], found["differences"], found["unreadable"]) == (len(recorded()), [], [])


@pytest.mark.parametrize(
    ("option", "content", "why"),
    [
        ("--trace", None, "No such file"),
        ("--trace", b"", "has no rows"),
        ("--trace", b"\x1f\x8bno gzip", "cannot be read"),
        ("--trace", b"\xff\xfe", "cannot be read"),
        ("--trace", b"a,b\n1,2\n", "has no columns"),
        ("--trace", b"timestamp,prompt_tokens,completion_tokens\n1,5,many\n", "line 2: completion_tokens 'many'"),
        ("--trace", b"timestamp,prompt_tokens,completion_tokens\nsoon,5,5\n", "line 2: timestamp 'soon'"),
        ("--trace", b"timestamp,prompt_tokens,completion_tokens\n1,-5,5\n", "line 2: prompt_tokens '-5'"),
        ("--responses", None, "cannot be read: No such file"),
        ("--responses", b"a file", "cannot be read: Not a directory"),
        ("--calls", b"", "no whole number"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(
    offline: Jangbu, tmp_path: Path, option: str, content: bytes | None, why: str
) -> None:
    file = tmp_path / "given"
    if content is not None:
        file.write_bytes(content)
    refused = offline("demo", option, str(file))
    assert refused.code == 2
    assert why in refused.error_line


def test_a_directory_without_answers_is_told_in_one_line(offline: Jangbu, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no answer")
    refused = offline("demo", "--responses", str(tmp_path))
    assert refused.code == 2
    assert "no recorded answer" in refused.error_line
