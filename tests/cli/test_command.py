"""The command as a whole: help, errors, interrupts, pipes, terminals."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import unicodedata
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.cli.conftest import Jangbu

COMMANDS = [
    (), ("accounts",), ("accounts", "create"), ("accounts", "show"), ("accounts", "list"), ("accounts", "block"),
    ("accounts", "erase"), ("accounts", "view-token"), ("accounts", "revoke-view-tokens"),
    ("grant",), ("balance",), ("record",), ("explain",), ("usage",), ("usage", "parse"), ("usage", "totals"),
    ("usage", "daily"), ("usage", "calls"), ("usage", "export"), ("cost",), ("ledger",), ("ledger", "show"),
    ("ledger", "refund"), ("ledger", "adjust"), ("ledger", "void"), ("ledger", "export"),
    ("ledger", "check"), ("verify",), ("holds",), ("holds", "list"), ("holds", "resolve"),
    ("keys",), ("keys", "create"), ("keys", "list"), ("keys", "revoke"),
    ("members",), ("members", "add"), ("members", "list"), ("members", "role"), ("members", "block"),
    ("members", "unblock"), ("members", "reset"),
    ("prices",), ("prices", "list"), ("prices", "versions"), ("prices", "import"), ("prices", "diff"),
    ("prices", "set"), ("prices", "unset"), ("prices", "markup"), ("serve",),
    ("prices", "backfill"), ("db",), ("db", "upgrade"), ("db", "sql"), ("db", "retain"), ("db", "url"),
    ("db", "policies"), ("db", "archive"), ("db", "backup"), ("db", "backups"), ("db", "restore"),
    ("config",), ("config", "show"), ("doctor",),
    ("demo",), ("spool",), ("spool", "status"), ("spool", "drain"),
    ("alerts",), ("alerts", "list"), ("alerts", "test"), ("alerts", "rules"), ("alerts", "deliver"),
    ("alerts", "findings"), ("alerts", "acknowledge"), ("alerts", "resolve"),
    ("alerts", "mute"), ("alerts", "unmute"), ("alerts", "mutes"), ("webhooks", "send-all-again"),
    ("webhooks",), ("webhooks", "list"), ("webhooks", "send-again"), ("webhooks", "test"),
]  # fmt: skip
NOUNS = (
    "accounts",
    "usage",
    "ledger",
    "holds",
    "keys",
    "members",
    "prices",
    "db",
    "config",
    "spool",
    "alerts",
    "webhooks",
)
GROUPS = {(), *((noun,) for noun in NOUNS)}
HEAVY = ("asyncpg", "google.genai", "pydantic", "alembic", "rich", "asyncio")


def test_every_command_has_help_and_takes_json() -> None:
    script = (
        "import io, contextlib, json, sys\n"
        "from jangbu.cli.app import app\n"
        "pages = []\n"
        "for words in json.load(sys.stdin):\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as page:\n"
        "        app([*words, '--help'], prog_name='jangbu', standalone_mode=False)\n"
        "    pages.append(page.getvalue())\n"
        "json.dump(pages, sys.stdout)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(COMMANDS), capture_output=True, text=True, check=True
    )
    for words, page in zip(COMMANDS, json.loads(ended.stdout), strict=True):
        assert page.startswith(f"Usage: {' '.join(('jangbu', *words))} "), words
        if words not in GROUPS:
            assert all(option in page for option in ("--json", "--database-url", "--data-dir", "--project")), words


def test_no_command_is_missing_from_the_list_above() -> None:
    from jangbu.cli.app import app

    found: set[tuple[str | None, ...]] = {(command.name,) for command in app.registered_commands} | {()}
    for part in app.registered_groups:
        assert part.typer_instance is not None
        noun = part.typer_instance.info.name
        found |= {(noun,)} | {(noun, command.name) for command in part.typer_instance.registered_commands}
    assert found == set(COMMANDS)


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from jangbu.cli.main import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit as ended:\n"
        f"    loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "    print(ended.code, loaded, file=sys.stderr)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("Usage: jangbu")
    assert ended.stderr == "0 []\n"


def test_the_version_is_told(offline: Jangbu) -> None:
    assert offline.ok("--version").out.startswith("jangbu 0.")


def test_a_noun_without_a_verb_shows_its_help(offline: Jangbu) -> None:
    for words in ((), ("accounts",), ("ledger",)):
        ended = offline(*words)
        assert (ended.code, ended.err) == (2, "")
        assert ended.out.startswith("Usage: jangbu")


@pytest.mark.parametrize(
    "words",
    [
        ("acounts",),
        ("balance",),
        ("balance", "kim", "--jsn"),
        ("grant", "kim", "5"),
        ("--nonsense",),
        ("accounts", "open"),
    ],
)
def test_what_cannot_be_understood_takes_one_line(offline: Jangbu, words: tuple[str, ...]) -> None:
    refused = offline(*words)
    assert refused.code == 2
    assert "jangbu" in refused.error_line
    as_json = offline("--json", *words)
    assert (as_json.code, as_json.out, as_json.error["code"]) == (2, "", "usage")


def test_options_stand_before_or_after_the_verb(jangbu: Jangbu) -> None:
    address = jangbu.environment["JANGBU_DATABASE_URL"]
    nowhere = "postgresql://kim@127.0.0.1:1/nowhere"
    jangbu.ok("accounts", "create", "kim")
    before = jangbu("--json", "--database-url", address, "balance", "kim", JANGBU_DATABASE_URL=nowhere)
    after = jangbu("balance", "--database-url", address, "kim", "--json", JANGBU_DATABASE_URL=nowhere)
    assert before.json == after.json


def test_a_database_that_does_not_answer_is_7(offline: Jangbu) -> None:
    for words in (("balance", "kim"), ("accounts", "list"), ("verify",), ("db", "upgrade"), ("prices", "list")):
        refused = offline(*words)
        assert refused.code == 7
        assert "PostgreSQL does not answer" in refused.error_line
    assert offline("balance", "kim", "--json").error["code"] == "database_unreachable"


@pytest.mark.parametrize(
    "address", ["nonsense", "mysql://kim@host/db", "postgresql://host:port/db", "", "postgresql://["]
)
def test_an_address_that_is_none_is_a_usage_error_without_the_password(offline: Jangbu, address: str) -> None:
    refused = offline("balance", "kim", "--database-url", address)
    assert refused.code == 2
    assert "database address" in refused.error_line


def test_a_password_that_is_wrong_is_4_and_never_shown(jangbu: Jangbu) -> None:
    found = urlsplit(jangbu.environment["JANGBU_DATABASE_URL"])
    query = "&".join(part for part in found.query.split("&") if not part.startswith("passfile="))
    host = found.netloc.rpartition("@")[2]
    refused = jangbu(
        "balance", "kim", "--database-url", urlunsplit(found._replace(netloc=f"no_one:s3cret@{host}", query=query))
    )
    assert refused.code == 4
    assert "s3cret" not in refused.error_line


def test_a_database_that_does_not_exist_is_7(jangbu: Jangbu) -> None:
    address = urlunsplit(urlsplit(jangbu.environment["JANGBU_DATABASE_URL"])._replace(path="/no_such_database"))
    refused = jangbu("balance", "kim", "--database-url", address)
    assert refused.code == 7
    assert "no_such_database" in refused.error_line


def test_a_traceback_is_shown_only_to_whoever_asks(offline: Jangbu) -> None:
    assert "Traceback" not in offline("balance", "kim").err
    shown = offline("balance", "kim", JANGBU_DEBUG="1")
    assert (shown.code, "Traceback" in shown.err) == (7, True)


def test_an_interrupt_is_130_and_one_line(offline: Jangbu) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "jangbu", "accounts", "list"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**offline.environment, "JANGBU_DATABASE_URL": f"postgresql://kim@127.0.0.1:{port}/db"},
        )
        connection, _ = deaf.accept()
        with connection:
            connection.recv(1)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert err.startswith(b"error: interrupted")
    assert err.count(b"\n") == 1


def test_a_reader_that_has_seen_enough_is_no_error(offline: Jangbu) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-m", "jangbu", "db", "sql"],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=offline.environment,
        check=False,
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_output_that_cannot_be_written_is_a_failure(offline: Jangbu) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "jangbu", "db", "sql"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=offline.environment,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr == b"error: the output cannot be written: No space left on device\n"


def on_a_terminal(offline: Jangbu, *words: str, **environment: str) -> str:
    """Run the command with a terminal of 200 columns as its standard output; give what the terminal got."""
    controller, terminal = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "jangbu", *words],
        stdout=terminal,
        env={**offline.environment, "TERM": "xterm", "COLUMNS": "200", **environment},
        cwd=offline.directory,
    )
    os.close(terminal)
    got = b""
    while True:
        try:
            part = os.read(controller, 65_536)
        except OSError:
            break
        if not part:
            break
        got += part
    os.close(controller)
    assert running.wait() == 0
    return got.decode()


def test_a_terminal_gets_bold_headers_unless_it_wants_no_colour(offline: Jangbu) -> None:
    assert "\x1b[1m" in on_a_terminal(offline, "config", "show")
    assert "\x1b[" not in on_a_terminal(offline, "config", "show", NO_COLOR="1", TERM="dumb")
    assert "\x1b[3" not in on_a_terminal(offline, "config", "show", NO_COLOR="1")
    assert "\x1b" not in offline.ok("config", "show").out


def test_korean_users_line_up_in_a_list(jangbu: Jangbu) -> None:
    for user in ("김철수", "kim", "이서연abc"):
        jangbu.ok("accounts", "create", user)
    lines = jangbu.ok("accounts", "list").out.splitlines()
    widths = {sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line) for line in lines}
    assert len(widths) == 1


def test_without_any_server_the_ledger_brings_its_own(offline: Jangbu) -> None:
    ledger = ("--data-dir", str(offline.directory / "ledger"))
    assert offline.ok("accounts", "create", "kim", *ledger).out == "account of kim opened\n"
    assert offline.json(*ledger, "balance", "kim")["balance"] == 0
    checks = {check["name"]: check["state"] for check in offline.json("doctor", *ledger)["checks"]}
    assert checks["data directory"] == "ok"
    assert offline("balance", "kim", *ledger, "--database-url", "postgresql://kim@127.0.0.1:1/db").code == 2


def test_a_shell_is_offered_the_commands(offline: Jangbu) -> None:
    offered = offline("", _JANGBU_COMPLETE="complete_bash", COMP_WORDS="jangbu acc", COMP_CWORD="1")
    assert "accounts" in offered.out
