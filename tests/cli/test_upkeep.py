"""Looking after a ledger: verify, doctor, the schema, the settings."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jangbu.storage.database import Database
from jangbu.storage.embedded import EmbeddedServer
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


def test_a_verification_goes_on_where_the_last_one_ended(jangbu: Jangbu, answer: Callable[..., str]) -> None:
    jangbu.ok("accounts", "create", "kim")
    jangbu.ok("record", "kim", "--service", "s", "--response", answer())
    assert jangbu.json("verify")["since"] is None
    found = jangbu.json("verify")
    assert (found["ok"], found["records"], found["since"] is not None) == (True, 1, True)
    assert jangbu.json("verify", "--full")["since"] is None


def test_the_help_says_what_only_a_full_verification_sees(offline: Jangbu) -> None:
    said = " ".join(offline.ok("verify", "--help").out.split())
    assert "Only --full sees an older row that was changed where it stands" in said


async def test_a_doctor_tells_how_the_last_verification_ended(jangbu: Jangbu, database: Database) -> None:
    def verification() -> tuple[str, str]:
        [check] = [each for each in jangbu("doctor", "--json").json["checks"] if each["name"] == "verification"]
        return check["state"], check["found"]

    assert verification() == ("warn", "none so far")
    jangbu.ok("accounts", "create", "kim")
    jangbu.ok("verify")
    state, found = verification()
    assert (state, "everything added up " in found) == ("ok", True)
    async with database.connection() as connection:
        await connection.execute("UPDATE jangbu.verifications SET ended_at = now() - interval '8 days 1 hour'")
        state, found = verification()
        assert (state, found.startswith("everything added up 8 days ago, all of it last at ")) == ("warn", True)
        await connection.execute("UPDATE jangbu.balances SET held = 7")
    assert jangbu("verify").code == 6
    state, found = verification()
    assert (state, found.startswith("1 figure did not add up ")) == ("fail", True)


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
    assert "use the release of Jangbu that upgraded it" in refused.error_line


def test_the_schema_is_upgraded_once_and_its_sql_shown_to_whoever_asks(jangbu: Jangbu, offline: Jangbu) -> None:
    upgraded = jangbu.json("db", "upgrade")
    assert upgraded["before"] == upgraded["after"]
    assert "already" in jangbu.ok("db", "upgrade").out
    sql = offline.ok("db", "sql").out
    assert sql.startswith("BEGIN;")
    assert sql.rstrip().endswith("COMMIT;")
    assert "CREATE TABLE jangbu.usage" in sql
    assert offline("db", "sql", "--from", "9999").error_line


def test_the_sql_by_which_a_role_reads_its_own_rows_is_printed_or_put_in_force(offline: Jangbu, jangbu: Jangbu) -> None:
    printed = offline.ok("db", "policies", "--role", "web", "--claim", "user_id").out
    assert printed.startswith("BEGIN;")
    assert printed.rstrip().endswith("COMMIT;")
    assert "U&'web'" in printed
    assert "U&'user_id'" in printed
    facts = offline.json("db", "policies", "--whole-project")
    facts.pop("sql")
    assert facts | {"schema_version": 1} == {
        "role": "authenticated", "claim": None, "writes": False, "with_costs": False, "project": "default",
        "applied": False, "schema_version": 1,
    }  # fmt: skip
    writing = offline.json("db", "policies", "--role", "web", "--whole-project", "--writes", "--project", "shop")
    assert (writing["writes"], "WITH CHECK" in writing["sql"], "U&'shop'" in writing["sql"]) == (True, True, True)
    without, with_costs = (offline.json("db", "policies", *more) for more in ((), ("--with-costs",)))
    assert (without["with_costs"], '"price_version"' in without["sql"]) == (False, False)
    assert (with_costs["with_costs"], '"price_version"' in with_costs["sql"]) == (True, True)
    refused = offline("db", "policies", "--role", "web", "--whole-project", "--writes", "--with-costs")
    assert (refused.code, "--with-costs is for a role that only reads" in refused.error_line) == (2, True)
    for too_little in (("--whole-project",), ("--role", "web")):
        assert "--role ROLE --whole-project" in offline("db", "policies", "--writes", *too_little).error_line
    assert "CREATE ROLE" in jangbu("db", "policies", "--role", "nobody_here", "--apply").err
    assert offline("db", "policies", "--role", "").code == 2


def test_the_address_of_ones_own_server_is_printed_without_its_password(offline: Jangbu) -> None:
    assert offline.ok("db", "url").out == "postgresql://kim:****@127.0.0.1:1/nowhere\n"
    assert offline.json("db", "url") == {"url": "postgresql://kim:****@127.0.0.1:1/nowhere", "stays_seconds": None}


def test_the_address_of_the_embedded_server_is_printed_and_how_long_it_answers(offline: Jangbu) -> None:
    ledger = offline.directory / "ledger"
    with EmbeddedServer(ledger) as endpoint:
        shown = offline("db", "url", "--data-dir", str(ledger))
        assert (shown.code, shown.out) == (0, endpoint.dsn + "\n")
        assert "stops 3 seconds after" in shown.err
        assert "jangbu serve" in shown.err
        assert offline.json("db", "url", "--data-dir", str(ledger)) == {"url": endpoint.dsn, "stays_seconds": 3}


@pytest.mark.parametrize("inside", ["ledger", "ledger/deeper"])
def test_a_doctor_who_finds_a_file_where_the_ledger_should_lie_says_so(offline: Jangbu, inside: str) -> None:
    (offline.directory / "ledger").write_text("")
    found = offline("doctor", "--json", "--data-dir", inside)
    assert found.code == 1
    [failed] = [check for check in found.json["checks"] if check["state"] == "fail"]
    assert failed["name"] == "data directory"
    assert failed["found"] == f"{offline.directory / 'ledger'} is no directory"
    assert "JANGBU_DATA_DIR" in failed["advice"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_doctor_who_may_not_write_the_ledger_says_so(offline: Jangbu) -> None:
    (offline.directory / "ledger").mkdir(mode=0o500)
    found = offline("doctor", "--json", "--data-dir", "ledger/deeper")
    [failed] = [check for check in found.json["checks"] if check["state"] == "fail"]
    assert (failed["name"], "may not be written" in failed["found"]) == ("data directory", True)


def test_settings_are_shown_with_their_origin_and_without_secrets(offline: Jangbu) -> None:
    (offline.directory / "jangbu.toml").write_text("pool_size = 3\n")
    words = ("config", "show", "--project", "shop")
    shown = offline.json(*words)
    assert shown["pool_size"] == {"value": 3, "origin": "file", "variable": "JANGBU_POOL_SIZE"}
    assert shown["project"] == {"value": "shop", "origin": "argument", "variable": "JANGBU_PROJECT"}
    assert shown["flushers"]["origin"] == "default"
    assert shown["database_url"]["value"] == "postgresql://kim:****@127.0.0.1:1/nowhere"
    assert (shown["database_url"]["origin"], shown["data_dir"]["value"]) == ("environment", None)
    table = offline.ok(*words).out
    assert "kim:secret" not in table
    assert "JANGBU_POOL_SIZE" in table


def test_the_data_directory_that_is_in_effect_is_shown(offline: Jangbu) -> None:
    shown = offline.json("config", "show", "--data-dir", "ledger")
    assert shown["data_dir"]["value"] == str(offline.directory / "ledger")
    assert not (offline.directory / "ledger").exists()


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("POOL_SIZE", "many", "setting pool_size: 'many' is no whole number"),
        ("POOL_SIZE", "1", "setting pool_size: 1 is less than 2"),
        ("POOL_SIZE", "1000", "setting pool_size: 1000 is more than 200"),
        ("PREPARED_STATEMENTS", "maybe", "setting prepared_statements: 'maybe' is neither true nor false"),
        ("PROJECT", "", "setting project: names nothing"),
        ("PROJECT", "x" * 101, "setting project: is longer than 100 characters"),
        ("DATA_DIR", "", "setting data_dir: names nothing"),
        ("PRICE_BOOK", " ", "setting price_book: names nothing"),
        ("PRICE_BOOK", "shelf/missing.json", "setting price_book: there is no file shelf/missing.json"),
        ("CONFIG", "", "JANGBU_CONFIG names nothing"),
        ("CONFIG", "shelf/missing.toml", "there is no settings file shelf/missing.toml"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_in_plain_words(
    offline: Jangbu, name: str, value: str, why: str
) -> None:
    refused = offline("config", "show", stdin=None, **{f"JANGBU_{name}": value})
    assert refused.code == 2
    assert refused.error_line.startswith(f"error: {why}; ")
    assert f"JANGBU_{name}" in refused.err or value == ""


def test_a_data_directory_without_a_name_makes_no_ledger_here(offline: Jangbu) -> None:
    refused = offline("accounts", "create", "kim", "--data-dir", "")
    assert (refused.code, list(offline.directory.iterdir())) == (2, [])
    assert "data_dir" in refused.error_line


def test_a_settings_file_that_cannot_be_used_is_named(offline: Jangbu, tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("pool_size = = 3")
    broken = offline("config", "show", JANGBU_CONFIG="broken.toml")
    assert broken.code == 2
    assert "broken.toml cannot be read" in broken.error_line
    (tmp_path / "odd.toml").write_text("pol_size = 3")
    assert "no setting 'pol_size'" in offline("config", "show", JANGBU_CONFIG="odd.toml").error_line
    assert "no settings file" in offline("config", "show", JANGBU_CONFIG=str(tmp_path)).error_line
