"""What the README shows is run as it stands; what it names exists."""

import asyncio
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import pytest
from tests.gateway.stage import UPSTREAM_KEY, stage
from tests.ports import free_port

from jangbu.cli.serve.certificate import self_signed_certificate
from jangbu.config import Settings
from jangbu.storage.embedded import stop
from jangbu.testing import FakeGemini

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
ANSWER = {
    "candidates": [{"content": {"parts": [{"text": "안녕하세요"}], "role": "model"}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 150, "candidatesTokenCount": 300, "totalTokenCount": 450},
    "modelVersion": "gemini-2.5-flash",
    "responseId": "readme-1",
}


def blocks(language: str) -> list[str]:
    """Give the fenced blocks of a language; the text between two fences is every second part."""
    fenced = README.split("```")[1::2]
    return [block.partition("\n")[2] for block in fenced if block.partition("\n")[0] == language]


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JANGBU_", "GEMINI_", "GOOGLE_"))}
    return {**kept, "JANGBU_DATABASE_URL": database_url, "JANGBU_SPOOL_DIR": str(tmp_path / "spool")}


def test_the_code_of_the_readme_runs(environment: dict[str, str], tmp_path: Path) -> None:
    in_the_app, by_hand = blocks("python")
    script = tmp_path / "app.py"
    response = json.dumps({**ANSWER, "responseId": "readme-2"})
    script.write_text(
        f"{in_the_app}\nwith Meter.open() as meter:\n    response = {response!r}\n    print({by_hand.strip()})\n"
    )
    with FakeGemini() as gemini:
        more = {"GOOGLE_GEMINI_BASE_URL": gemini.url, "GEMINI_API_KEY": "a-key-for-the-fake"}
        ended = subprocess.run(
            [sys.executable, str(script)], env={**environment, **more}, capture_output=True, text=True, check=False
        )
        charged = sum(answer.counted["totalTokenCount"] for answer in gemini.answers() if answer.counted)
    assert ended.returncode == 0, ended.stderr
    balance, receipt = ended.stdout.strip().splitlines()
    assert f"used={charged}" in balance
    assert "charged_tokens=450" in receipt


def test_the_commands_of_the_readme_run(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "answer.json").write_text(json.dumps(ANSWER))
    (block,) = (text for text in blocks("") if text.startswith("jangbu accounts"))
    call = ""
    for line in block.strip().splitlines():
        words = line.replace("CALL", call).split()[1:]
        ended = subprocess.run(
            [sys.executable, "-m", "jangbu", *words, "--json"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, ""), line
        if words[0] == "record":
            call = json.loads(ended.stdout)["id"]
    assert call


def test_the_gateway_starts_and_stops_as_the_readme_shows(environment: dict[str, str], tmp_path: Path) -> None:
    made = self_signed_certificate(tmp_path, "127.0.0.1")
    shutil.copy(made.chain, tmp_path / "chain.pem")
    shutil.copy(made.key, tmp_path / "key.pem")
    trust = ssl.create_default_context(cafile=str(made.chain))
    (block,) = (text for text in blocks("") if text.startswith("jangbu serve"))
    for line in block.strip().splitlines():
        words = [*line.split()[1:], "--port", str(free_port()), "--json"]
        process = subprocess.Popen(
            [sys.executable, "-m", "jangbu", *words],
            env={**environment, "JANGBU_VERTEX_PROJECT": "shop"},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            secure = trust if url.startswith("https") else None
            with urllib.request.urlopen(f"{url}/readyz", timeout=30, context=secure) as answer:
                assert answer.status == 200, line
        finally:
            process.terminate()
            process.communicate(timeout=30)
        assert process.returncode == 0, line


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
async def test_the_gateway_answers_as_the_readme_shows(database_url: str) -> None:
    (shown,) = blocks("sh")
    with FakeGemini(api_key=UPSTREAM_KEY) as gemini:
        async with stage(database_url, gemini) as served:
            await served.open("kim")
            given = {**os.environ, "GATEWAY": served.url, "KEY": served.key}
            asking = await asyncio.create_subprocess_exec("sh", "-c", shown, env=given, stdout=asyncio.subprocess.PIPE)
            answer, _ = await asking.communicate()
            total = json.loads(answer)["usageMetadata"]["totalTokenCount"]
            assert await served.used() == (total, 0)


def test_every_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", README + (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE))
    assert named <= targets
    assert {"setup", "demo", "test", "lint", "bench", "serve"} <= targets


def test_every_setting_is_listed_with_its_default_and_its_meaning() -> None:
    rows = [
        f"| `{name}` | {written(field.default)} | {field.description or ''} |".replace("|  |", "| |")
        for name, field in Settings.model_fields.items()
    ]
    listed = [line for line in (ROOT / "docs/operation.md").read_text().splitlines() if line.startswith("| `")]
    assert listed == rows, "write it so:\n" + "\n".join(rows)
    assert not any(row.endswith("| |") for row in rows), "a setting without a meaning"


def written(default: object) -> str:
    """Write a default as a settings file has it; what is not set has none."""
    return "" if default is None else str(default).lower() if isinstance(default, bool) else str(default)


def test_the_settings_file_that_is_shown_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown = (ROOT / "docs/operation.md").read_text().partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "jangbu.toml").write_text(shown)
    monkeypatch.chdir(tmp_path)
    settings = Settings.load()
    given = {name: getattr(settings, name) for name, origin in settings.origins().items() if origin == "file"}
    assert given == tomllib.loads(shown)
    assert given


def test_the_drill_of_a_backup_runs_as_it_is_shown(tmp_path: Path) -> None:
    shown = (ROOT / "docs/operation.md").read_text().partition("```sh\n")[2].partition("```")[0]
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "jangbu").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m jangbu "$@"\n')
    (tmp_path / "bin" / "jangbu").chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JANGBU_")}
    given = {**kept, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    try:
        ended = subprocess.run(
            ["sh", "-eu", "-c", shown], env=given, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.split()[-5:] == ["kim", "1,500", "0", "0", "1,500"]
    finally:
        for name in ("ledger", "restored"):
            stop(tmp_path / name)


def test_every_page_that_the_readme_links_to_is_there() -> None:
    linked = re.findall(r"\]\(([^):]+)\)", README)
    assert {"docs/operation.md", "ARCHITECTURE.md"} <= set(linked)
    assert [page for page in linked if not (ROOT / page).exists()] == []
