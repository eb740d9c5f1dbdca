"""Looking after a ledger: verify, doctor, the schema, the settings."""

from collections.abc import Callable
from pathlib import Path

from jangbu.storage.database import Database
from tests.cli.conftest import Jangbu


def test_a_sound_book_has_nothing_to_show(jangbu: Jangbu, answer: Callable[..., str]) -> None:
    jangbu.ok("accounts", "create", "kim")
    jangbu.ok("record", "kim", "--service", "s", "--response", answer())
    found = jangbu.json("verify", "--full")
    assert (found["ok"], found["accounts"], found["records"], found["mismatches"]) == (True, 1, 1, [])
    assert "everything adds up (1 account and 1 record:" in jangbu.ok("verify").out


async def test_a_book_that_was_tampered_with_ends_with_6_and_the_rows(jangbu: Jangbu, database: Database) -> None:
    jangbu.ok("accounts", "create", "김철수")
    jangbu.ok("grant", "김철수", "1000", "--key", "order-1")
    async with database.connection() as connection:
        await connection.execute("UPDATE jangbu.balances SET granted = granted + 1")
    found = jangbu("verify", "--json")
    assert (found.code, found.error["code"]) == (6, "integrity_mismatch")
    assert {(row["invariant"], row["user"]) for row in found.json["mismatches"]} >= {("balances", "김철수")}
    shown = jangbu("verify")
    assert shown.code == 6
    assert "김철수" in shown.out
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1


def test_a_doctor_finds_everything_in_order(jangbu: Jangbu) -> None:
    found = jangbu.json("doctor")
    assert found["ok"]
    names = [check["name"] for check in found["checks"]]
    assert {"python", "google-genai", "postgresql", "durability", "clock", "schema", "prices"} <= set(names)
    assert {line.split()[0] for line in jangbu.ok("doctor").out.splitlines()[1:]} <= {"ok", "warn"}


def test_a_doctor_who_finds_no_database_says_what_to_do_and_fails(offline: Jangbu) -> None:
    found = offline("doctor", "--json")
    assert (found.code, found.json["ok"]) == (1, False)
    [failed] = [check for check in found.json["checks"] if check["state"] == "fail"]
    assert failed["name"] == "postgresql"
    assert failed["advice"]


async def test_a_doctor_who_finds_a_foreign_schema_changes_nothing(jangbu: Jangbu, database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("UPDATE jangbu.schema_revision SET version_num = '9999'")
    found = jangbu("doctor", "--json")
    assert found.code == 1
    assert {check["state"] for check in found.json["checks"] if check["name"] == "schema"} == {"fail"}
    refused = jangbu("balance", "kim")
    assert refused.code == 7
    assert "jangbu db upgrade" in refused.error_line


def test_the_schema_is_upgraded_once_and_its_sql_shown_to_whoever_asks(jangbu: Jangbu, offline: Jangbu) -> None:
    upgraded = jangbu.json("db", "upgrade")
    assert upgraded["before"] == upgraded["after"]
    assert "already" in jangbu.ok("db", "upgrade").out
    sql = offline.ok("db", "sql").out
    assert sql.startswith("BEGIN;")
    assert sql.rstrip().endswith("COMMIT;")
    assert "CREATE TABLE jangbu.usage" in sql
    assert offline("db", "sql", "--from", "9999").error_line


def test_settings_are_shown_with_their_origin_and_without_secrets(offline: Jangbu) -> None:
    (offline.directory / "jangbu.toml").write_text("pool_size = 3\n")
    words = ("config", "show", "--project", "shop")
    shown = offline.json(*words, GEMINI_API_KEY="AIza-secret")
    assert shown["pool_size"] == {"value": 3, "origin": "file"}
    assert shown["project"] == {"value": "shop", "origin": "argument"}
    assert shown["flushers"]["origin"] == "default"
    assert shown["database_url"] == {"value": "postgresql://kim:****@127.0.0.1:1/nowhere", "origin": "environment"}
    assert shown["gemini_api_key"] == {"value": "****", "origin": "environment"}
    table = offline.ok(*words, GEMINI_API_KEY="AIza-secret").out
    assert "secret" not in table
    assert "JANGBU" not in table


def test_a_setting_that_cannot_be_used_is_named(offline: Jangbu, tmp_path: Path) -> None:
    assert "pool_size" in offline("config", "show", JANGBU_POOL_SIZE="many").error_line
    (tmp_path / "broken.toml").write_text("pool_size = = 3")
    broken = offline("config", "show", JANGBU_CONFIG=str(tmp_path / "broken.toml"))
    assert (broken.code, bool(broken.error_line)) == (2, True)
