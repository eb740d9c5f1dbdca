"""Settings that cannot work are refused, in one line that names them."""

from pathlib import Path

import pytest

from jangbu.config import Settings
from jangbu.errors import InvalidSettings

WRONG = [
    ("hold_seconds", float("nan"), "'nan' is no number"),
    ("hold_seconds", float("inf"), "'inf' is no number"),
    ("path_prefix", "metrics", "a page of Jangbu's own"),
    ("path_prefix", "/healthz/gemini/", "a page of Jangbu's own"),
    ("path_prefix", "/a b", "no path"),
    ("path_prefix", "/a?b=c", "no path"),
    ("public_url", "nonsense", "no address"),
    ("public_url", "ftp://tokens.example", "no address"),
    ("public_url", "https://", "no address"),
    ("public_url", "https://tokens.example/\nx: y", "no address"),
    ("top_up_url", "javascript:alert(1)", "no address"),
    ("spool_bytes_max", "12", "no room for calls"),
    ("allowed_origins", "https://shop.example/path", "no origin"),
    ("oidc_issuer", "accounts.example", "no address"),
    ("allowed_origins", "https://shop.example, shop.example", "no origin"),
]
RIGHT = [
    ("path_prefix", "/gw/gemini/"),
    ("path_prefix", "/"),
    ("public_url", "https://tokens.example/gw/"),
    ("public_url", "http://127.0.0.1:8787"),
    ("top_up_url", "https://shop.example/tokens?from=gemini#top"),
    ("allowed_origins", "https://shop.example, http://localhost:5173"),
    ("allowed_origins", "*"),
]


@pytest.mark.parametrize(("name", "value", "why"), WRONG)
def test_a_value_that_cannot_work_is_refused(name: str, value: str, why: str) -> None:
    with pytest.raises(InvalidSettings, match=f"setting {name}: .*{why}"):
        Settings.load(**{name: value})


@pytest.mark.parametrize(("name", "value"), RIGHT)
def test_one_that_can_is_taken(name: str, value: str) -> None:
    assert getattr(Settings.load(**{name: value}), name) == value


@pytest.mark.parametrize(
    ("value", "why"),
    [("0", "0 is not more than 0"), ("-1", "-1 is not more than 0"), ("1,000", "'1,000' is no number"),
     ("0.0000000001", "too many decimals"), ("2000000000", "is more than 1,000,000,000")],
)  # fmt: skip
def test_a_budget_that_is_none_is_told_in_words_of_its_own(value: str, why: str) -> None:
    with pytest.raises(InvalidSettings, match=f"setting monthly_budget_usd: .*{why}"):
        Settings.load(monthly_budget_usd=value)


WHOLE = [name for name, field in Settings.model_fields.items() if type(field.default) is int] + ["low_balance"]


@pytest.mark.parametrize("name", WHOLE)
def test_a_number_that_no_call_could_work_with_is_refused_at_the_start(name: str) -> None:
    with pytest.raises(InvalidSettings, match=f"setting {name}: 10{{39}} is more than [0-9,]+; JANGBU_{name.upper()}"):
        Settings.load(**{name: 10**3_000})


def test_a_settings_file_is_read_as_editors_of_windows_write_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "jangbu.toml"
    monkeypatch.setenv("JANGBU_CONFIG", str(file))
    written = 'project = "상점"\r\nworkers = 2\r\n'
    file.write_bytes(written.encode("utf-8-sig"))
    settings = Settings.load()
    assert (settings.project, settings.workers, settings.origins()["workers"]) == ("상점", 2, "file")
    for encoding in ("utf-16", "cp949"):
        file.write_bytes(written.encode(encoding))
        with pytest.raises(InvalidSettings, match=r"jangbu\.toml is no UTF-8 text; save it as UTF-8"):
            Settings.load()


@pytest.mark.parametrize(
    ("name", "why"), [("JANGBU_CONFIG", "no settings file x{200};"), ("JANGBU_TLS_KEY", "tls_key: .* no file x{200};")]
)
def test_a_file_whose_name_no_file_can_have_is_not_there(monkeypatch: pytest.MonkeyPatch, name: str, why: str) -> None:
    monkeypatch.setenv(name, "x" * 5_000)
    with pytest.raises(InvalidSettings, match=why):
        Settings.load()


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("JANGBU_WORKRES", "JANGBU_WORKERS"),
        ("JANGBU_DATABSE_URL", "JANGBU_DATABASE_URL"),
        ("JANGBU_GEMINI_API_KEY", "GEMINI_API_KEY"),
    ],
)
def test_a_mistyped_variable_is_refused_with_the_name_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, typo: str, meant: str
) -> None:
    monkeypatch.setenv(typo, "a-secret-3")
    with pytest.raises(InvalidSettings, match=f"{typo}; set {meant} instead") as refused:
        Settings.load()
    assert "a-secret-3" not in str(refused.value)


@pytest.mark.parametrize("name", ["JANGBU_SERVICE_HOST", "JANGBU_PORT", "JANGBU_PORT_8787_TCP_ADDR", "JANGBU_KEY"])
def test_what_a_container_or_an_app_sets_is_left_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "10.0.0.1")
    assert Settings.load().workers == 1


PROVIDER = {"oidc_issuer": "https://accounts.example", "oidc_client_id": "jangbu"}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"oidc_issuer": "https://accounts.example"}, "needs both"),
        ({"oidc_client_id": "jangbu"}, "needs both"),
        ({**PROVIDER, "oidc_default_role": "viewer"}, "for everybody"),
        ({**PROVIDER, "oidc_default_role": "viewer", "oidc_allowed_domains": " "}, "for everybody"),
    ],
)
def test_a_provider_that_would_let_in_nobody_or_all_the_world_is_refused(given: dict[str, str], why: str) -> None:
    with pytest.raises(InvalidSettings, match=f"setting oidc_allowed_domains: .*{why}"):
        Settings.load(**given)


def test_no_default_makes_an_owner() -> None:
    with pytest.raises(InvalidSettings, match="oidc_default_role"):
        Settings.load(**PROVIDER, oidc_default_role="owner", oidc_allowed_domains="shop.example")
    assert Settings.load(**PROVIDER, oidc_default_role="viewer", oidc_allowed_domains="*").oidc_default_role == "viewer"
