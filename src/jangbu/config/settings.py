"""Every setting, with what it means and what it may be."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from jangbu.config.amounts import Bytes, Count, Money, Span, Tokens, Wait
from jangbu.config.reading import OWN_VARIABLES, PREFIX, file_values, is_there, names, readable, require_no_typo

__all__ = ["OWN_PAGES", "Settings"]

_SPOOL_BYTES_LEAST = 65_536
"""Room for the records of three calls at once; below 17 KB there is room for none."""
_FILES = ("price_book", "signing_key", "tls_certificate", "tls_key", "vertex_credentials")
_PATHS = ("data_dir", "spool_dir", "backup_dir", *_FILES)


OWN_PAGES = frozenset({"healthz", "readyz", "metrics", "api", "dashboard", "openapi.json"})
"""The first segments of paths that are Jangbu's own and none of Gemini's."""

_PREFIX_PATH = re.compile(r"/*[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*/*|/+")
_ORIGIN = re.compile(r"https?://[^\s/?#@:;'\"]+(?::[0-9]{1,5})?")
_WEB_ADDRESS = re.compile(rf"{_ORIGIN.pattern}(?:[/?#]\S*)?")


class Settings(BaseSettings):
    """Every setting of Jangbu; immutable once loaded."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, populate_by_name=True)

    database_url: SecretStr | None = Field(None, description="A PostgreSQL 15+ server; without it one is embedded")
    data_dir: Path | None = Field(None, description="Where the embedded server keeps its data")
    spool_dir: Path | None = Field(
        None, description="Where records wait while the database is away; without it in `spool` below `data_dir`"
    )
    backup_dir: Path | None = Field(
        None, description="Where `db backup` puts backups; without it in backups beside the embedded server's data"
    )
    wal_archive_dir: str | None = Field(
        None,
        min_length=1,
        description="Where the embedded server archives its log of changes, for restores to a point in time; once set"
        " it holds for the ledger until it is set to off",
    )
    project: str = Field("default", min_length=1, max_length=100, description="The project whose users these are")
    price_book: Path | None = Field(
        None,
        description="A price book to use instead of the shipped one; each start puts it in force",
    )
    signing_key: Path | None = Field(
        None, description="An Ed25519 key (PEM) to sign exports with; else one is made in the data directory"
    )
    pool_size: int = Field(6, ge=2, le=200, description="Connections to PostgreSQL for each process")
    prepared_statements: bool = Field(True, description="False behind a pooler in transaction mode")
    flushers: int = Field(2, ge=1, le=16, description="Group-commit lanes for each process, split by account")
    flush_rows_max: int = Field(128, ge=1, le=5000, description="The most records in one flush")
    queue_rows_max: Count = Field(20_000, ge=1, description="Records that may wait before callers are held back")
    record_seconds_max: Wait = Field(
        30, ge=1, description="How long what no spool takes is retried before its caller is told"
    )
    spool_after_seconds: Wait = Field(
        2, ge=1, description="How long a record may wait for the database until it is kept in the spool"
    )
    spool_bytes_max: Bytes = Field(
        268_435_456, ge=0, description="The most bytes that the spool of a process takes; 0 keeps none"
    )
    spool_keep_seconds: Span = Field(
        900, ge=0, description="How long a spooled record is kept after its commit, for a fail-over that loses it"
    )
    spool_every_record: bool = Field(
        False, description="Keep in the spool also what the database takes at once: for an asynchronous standby"
    )
    services_max: int = Field(
        1_000, ge=1, le=30_000, description="How many services there may be; a user's own key begins none"
    )
    hold_wait_seconds_max: Wait = Field(
        5,
        ge=1,
        description="How long a call may wait for its key or its hold until it is refused, while the database is away"
        " or others keep the balance locked",
    )
    hold_seconds: Span = Field(900, ge=10, description="How long a hold may stay open before it is called unknown")
    verify_seconds: Span = Field(
        900, ge=0, description="How often `jangbu serve` verifies what moved since the last time; 0: never"
    )
    upstream_url: str = Field(
        "https://generativelanguage.googleapis.com", description="Where the gateway finds the Gemini API"
    )
    vertex_project: str | None = Field(
        None, min_length=1, description="The Google Cloud project of Vertex AI; without it Vertex AI is not offered"
    )
    vertex_locations: str = Field(
        "global", description="The locations that may be used there, apart by commas; the first where none is named"
    )
    vertex_credentials: Path | None = Field(
        None, description="A service account's key file for it; else the application-default credentials are used"
    )
    vertex_url: str | None = Field(None, description="Where the gateway finds it; by default the location's address")
    allowed_storage: str = Field(
        "",
        description="Cloud Storage that calls may name: gs://bucket/users/{user}/,gs://bucket/public/ (only to read)",
    )
    allowed_resources: str = Field(
        "", description="Corpora, data stores and file search stores that calls may name, apart by commas"
    )
    unit_priced_models: bool = Field(
        False,
        description="Whether models are offered that are paid for by the image, second or song, not by tokens"
        " (Imagen, Veo, Lyria)",
    )
    gemini_api_key: SecretStr | None = Field(
        None,
        validation_alias=OWN_VARIABLES["gemini_api_key"],
        description="The key with which the gateway calls Gemini",
    )
    upstream_keys: SecretStr | None = Field(
        None,
        description="Several keys with weights instead of one: KEY=3,KEY=1; a call for which one is tired (429) or"
        " refused goes on with the next, but what is kept at Google (files, caches, batches, interactions) is made and"
        " used with the first alone",
    )
    path_prefix: str = Field("", max_length=200, description="What stands before Gemini's paths at the gateway")
    public_url: str | None = Field(None, description="The gateway's own address, where clients cannot tell it")
    stop_seconds_max: Wait = Field(30, ge=0, description="How long calls under way may finish when serving ends")
    short_balance: Literal["clamp", "refuse"] = Field(
        "clamp",
        description="What the gateway does with a call that the balance does not cover as it is: `clamp` has its answer"
        " end where the balance does, as the header `x-jangbu-output-limit` says; `refuse` answers 402, as the SDK"
        " refuses it",
    )
    allowed_origins: str = Field(
        "",
        description="The origins whose pages may call the gateway and read the API from a browser, apart by commas;"
        " * for all",
    )
    show_costs_to_users: bool = Field(
        False, description="Whether a user's own key sees what its calls cost by the price list, and their metadata"
    )
    top_up_url: str | None = Field(None, description="Where a user who runs dry is sent, shown in the refusal")
    body_bytes_max: Bytes = Field(
        20_000_000,
        ge=1024,
        description="The largest request that the gateway takes; larger media are uploaded as files",
    )
    bodies_bytes_max: Bytes = Field(
        400_000_000,
        ge=1024,
        description="The most memory for requests in one process, where each takes up to five times its size;"
        " one user's at most a fourth",
    )
    upload_bytes_max: Bytes = Field(2_000_000_000, ge=1024, description="The largest file that may be uploaded")
    kept_files_max: Count = Field(
        1_000, ge=1, description="How many uploaded files a user may have Google keep at once"
    )
    kept_bytes_max: Bytes = Field(
        2_000_000_000, ge=1024, description="The most bytes of uploaded files that a user may have Google keep at once"
    )
    kept_caches_max: Count = Field(20, ge=0, description="How many caches a user may have Google keep at once")
    kept_cache_tokens_max: Tokens = Field(
        5_000_000, ge=0, description="The most tokens in caches that a user may have Google keep before another is made"
    )
    cache_seconds_max: Span = Field(86_400, ge=60, description="How long a cache may be asked to live")
    upstream_seconds_max: Wait = Field(600, ge=1, description="How long an answer may take to begin, and from then on")
    upstream_idle_seconds_max: Wait = Field(120, ge=1, description="How long an answer that has begun may be silent")
    drain_seconds_max: Wait = Field(
        120, ge=0, description="How long an answer is waited for and read on when its client has left"
    )
    drains_max: Count = Field(
        200, ge=0, description="How many answers without a client are read on at once, one user's at most a fourth"
    )
    client_seconds_max: Wait = Field(60, ge=1, description="How long a client may take no bytes, or send none")
    live_seconds_max: Wait = Field(3_600, ge=1, description="How long a Live session may last")
    live_idle_seconds_max: Wait = Field(600, ge=1, description="How long both sides of a Live session may be silent")
    live_message_bytes_max: int = Field(
        16_777_216, ge=1024, le=33_554_432, description="The largest message of a Live session, either way"
    )
    head_seconds_max: Wait = Field(
        10, ge=1, description="How long a client may take for a request's head, or for a handshake of TLS"
    )
    head_bytes_max: int = Field(
        16_384, ge=1024, le=1_048_576, description="The largest head of a request: its line and headers"
    )
    workers: int = Field(1, ge=1, le=64, description="How many processes serve")
    dashboard: bool = Field(True, description="Whether `jangbu serve` has the dashboard, at /dashboard")
    time_zone: str = Field("UTC", description="The time zone that the dashboard begins with, like Asia/Seoul")
    oidc_issuer: str | None = Field(
        None, description="An OpenID provider by which members may sign in, written as it names itself as the issuer"
    )
    oidc_client_id: str | None = Field(None, min_length=1, description="What the provider knows this dashboard as")
    oidc_client_secret: SecretStr | None = Field(None, min_length=1, description="The secret that goes with it, if any")
    oidc_role_claim: str | None = Field(
        None, min_length=1, description="The claim that gives a member's role at each sign-in, like realm_access.roles"
    )
    oidc_default_role: Literal["finance", "developer", "viewer"] | None = Field(
        None, description="As what people of the allowed domains come in who were not invited; without it they do not"
    )
    oidc_allowed_domains: str = Field(
        "",
        validate_default=True,
        description="The domains of addresses that come in uninvited, apart by commas; * for all of the provider's",
    )
    view_origins: str = Field(
        "", description="The origins whose pages may show users their own accounts, apart by commas; * for all"
    )
    view_costs: bool = Field(False, description="Whether users see there what they are charged, beside their tokens")
    low_balance: Tokens | None = Field(
        None,
        ge=1,
        description="From how many tokens on a user is told that few are left; without it, once they will be used up at"
        " the last week's pace, or have expired, within three days",
    )
    metrics_token: SecretStr | None = Field(
        None, min_length=1, description="What /metrics asks for as a bearer token; without it everybody may read it"
    )
    log_format: Literal["json", "text", "off"] | None = Field(
        None, description="How requests are logged; where it is not set: text on a terminal, else json"
    )
    alert_webhook_url: SecretStr | None = Field(
        None, min_length=1, description="Where alerts are posted to as signed JSON; see Alerts below"
    )
    alert_webhook_secret: SecretStr | None = Field(
        None, min_length=1, description="What signs them: whsec_ and base64, or any text of 16 bytes or more"
    )
    alert_urls: SecretStr | None = Field(
        None, description="Addresses of Apprise (mail, Slack, Discord, Telegram and more), apart by spaces"
    )
    alert_private_targets: bool = Field(
        False, description="Whether webhooks may lead into a private network, or to this machine"
    )
    alert_language: Literal["en", "ko"] = Field("en", description="The language of alerts: en or ko")
    alert_delay_seconds: Wait = Field(
        10, ge=1, description="How long recording may be retried before an alert says that it is delayed"
    )
    alert_repeat_seconds: Span = Field(
        3_600, ge=60, description="How long the same finding is not told again; failures of recording: each minute"
    )
    monthly_budget_usd: Money | None = Field(
        None,
        gt=0,
        description="What a month's calls may cost by the price list, in US dollars, by the days of JANGBU_TIME_ZONE:"
        " alerts tell when 80% of it is gone, and when all of it is; nothing is refused for it",
    )
    alert_give_up_seconds: Span = Field(
        86_400, ge=60, description="How long an alert is tried until it counts as undelivered"
    )
    webhook_url: SecretStr | None = Field(
        None, min_length=1, description="Where your app is told of its users as signed JSON; see Webhooks to your app"
    )
    webhook_secret: SecretStr | None = Field(
        None, min_length=1, description="What signs that: whsec_ and base64, or any text of 16 bytes or more"
    )
    webhook_events: str = Field("", description="Which events your app is told, apart by commas; without it all")
    low_balance_tokens: Tokens = Field(
        10_000, ge=0, description="Below how many tokens your app is told that a user's balance is low; 0: never"
    )
    tls_certificate: Path | None = Field(None, description="The certificate to serve with, and its chain, as PEM")
    tls_key: Path | None = Field(None, description="The key of the certificate, as PEM")

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Read all sources; ``given`` wins over them. Raises InvalidSettings with one line that names the setting."""
        require_no_typo(cls.model_fields)
        wanted = {name: value for name, value in given.items() if value is not None}
        try:
            return cls(**wanted)
        except ValidationError as error:
            raise readable(error) from None

    @field_validator("spool_bytes_max")
    @classmethod
    def _have_room_for_calls(cls, value: int) -> int:
        if 0 < value < _SPOOL_BYTES_LEAST:
            raise ValueError(f"leaves no room for calls: give {_SPOOL_BYTES_LEAST:,} or more, or 0 for no spool")
        return value

    @field_validator("spool_every_record")
    @classmethod
    def _have_a_spool(cls, value: bool, others: ValidationInfo) -> bool:
        if value and others.data.get("spool_bytes_max") == 0:
            raise ValueError("needs a spool, and JANGBU_SPOOL_BYTES_MAX is 0")
        return value

    @field_validator("path_prefix")
    @classmethod
    def _be_beside_own_pages(cls, value: str) -> str:
        first = value.strip("/").partition("/")[0]
        if first in OWN_PAGES:
            raise ValueError(f"/{first} is a page of Jangbu's own")
        if value and _PREFIX_PATH.fullmatch(value) is None:
            raise ValueError(f"{value[:40]!r} is no path of letters, digits and .~_- between slashes")
        return value

    @field_validator("public_url", "top_up_url", "oidc_issuer")
    @classmethod
    def _be_a_web_address(cls, value: str | None) -> str | None:
        if value is not None and _WEB_ADDRESS.fullmatch(value) is None:
            raise ValueError(f"{value[:40]!r} is no address; write https://host")
        return value

    @field_validator("oidc_allowed_domains")
    @classmethod
    def _be_enough_to_sign_in_by(cls, value: str, others: ValidationInfo) -> str:
        if (others.data.get("oidc_issuer") is None) is not (others.data.get("oidc_client_id") is None):
            raise ValueError("a provider needs both JANGBU_OIDC_ISSUER and JANGBU_OIDC_CLIENT_ID")
        if others.data.get("oidc_default_role") and not value.strip():
            raise ValueError(
                "names none, and JANGBU_OIDC_DEFAULT_ROLE lets in whoever is of one; write * for everybody"
            )
        return value

    @field_validator("allowed_origins", "view_origins")
    @classmethod
    def _be_origins(cls, value: str) -> str:
        for origin in filter(None, map(str.strip, value.split(","))):
            if origin != "*" and _ORIGIN.fullmatch(origin) is None:
                raise ValueError(f"{origin[:40]!r} is no origin; write https://host or *")
        return value

    @field_validator("time_zone")
    @classmethod
    def _be_a_time_zone(cls, value: str) -> str:
        try:
            return ZoneInfo(value).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{value[:40]!r} is no time zone; write one like Asia/Seoul") from None

    @property
    def can_call(self) -> bool:
        """Whether the gateway is given something to call Gemini with: a key, or a project of Vertex AI."""
        return any(each is not None for each in (self.gemini_api_key, self.upstream_keys, self.vertex_project))

    @property
    def monthly_budget_nano(self) -> int | None:
        """The budget of a month in nano-USD."""
        return None if self.monthly_budget_usd is None else int(self.monthly_budget_usd * 10**9)

    @field_validator(*_PATHS, mode="before")
    @classmethod
    def _name_something(cls, value: object) -> object:
        if isinstance(value, str) and not value.strip():
            raise ValueError("names nothing")
        return value

    @field_validator(*_FILES)
    @classmethod
    def _be_a_file(cls, value: Path | None) -> Path | None:
        if value is not None and not (is_there(value) and value.is_file()):
            raise ValueError(f"there is no file {str(value)[:200]}")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put arguments before the environment and the environment before the file."""
        del dotenv_settings, file_secret_settings
        return (init_settings, env_settings, InitSettingsSource(settings_cls, file_values()))

    def origins(self) -> Mapping[str, str]:
        """Tell for each setting where its value came from: ``environment``, ``file`` or ``default``."""
        kind = type(self)
        environment = EnvSettingsSource(kind)()
        file = InitSettingsSource(kind, file_values())()
        return {
            name: "environment"
            if names(name) & environment.keys()
            else "file"
            if names(name) & file.keys()
            else "default"
            for name in kind.model_fields
        }
