"""Settings: from arguments, then ``JANGBU_*`` variables, then a TOML file, then defaults.

The TOML file is named by ``JANGBU_CONFIG``, else ``jangbu.toml`` in the working directory is read if it is there.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from jangbu.errors import InvalidSettings

__all__ = ["Settings"]

_DEFAULT_FILE = "jangbu.toml"


class Settings(BaseSettings):
    """Every setting of Jangbu; immutable once loaded."""

    model_config = SettingsConfigDict(env_prefix="JANGBU_", extra="forbid", frozen=True)

    database_url: SecretStr | None = Field(None, description="A PostgreSQL 15+ server; without it one is embedded")
    data_dir: Path | None = Field(None, description="Where the embedded server keeps its data")
    upstream_url: str = Field("https://generativelanguage.googleapis.com", description="Where Gemini is called")
    gemini_api_key: SecretStr | None = Field(
        None, validation_alias="GEMINI_API_KEY", description="The key for Gemini; it never leaves the server"
    )
    project: str = Field("default", min_length=1, max_length=100, description="The project whose users these are")
    price_book: Path | None = Field(None, description="A price book to use instead of the shipped one")
    pool_size: int = Field(6, ge=2, le=200, description="Connections to PostgreSQL for each process")
    prepared_statements: bool = Field(True, description="False behind a pooler in transaction mode")
    flushers: int = Field(2, ge=1, le=16, description="Group-commit lanes for each process, split by account")
    flush_rows_max: int = Field(512, ge=1, le=5000, description="The most records in one flush")
    queue_rows_max: int = Field(20_000, ge=1, description="Records that may wait before callers are held back")
    record_seconds_max: int = Field(30, ge=1, description="How long a record is retried before its caller is told")
    hold_seconds: int = Field(900, ge=10, description="How long a hold may stay open before it is called unknown")

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Read all sources; ``given`` wins over them. Raises InvalidSettings with one line that names the setting."""
        wanted = {name: value for name, value in given.items() if value is not None}
        if "gemini_api_key" in wanted:
            wanted["GEMINI_API_KEY"] = wanted.pop("gemini_api_key")
        try:
            return cls(**wanted)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            name = ".".join(str(part) for part in first["loc"])
            raise InvalidSettings(f"setting {name}: {first['msg']}", hint="see `jangbu config show`") from None
        except (OSError, ValueError) as error:
            raise InvalidSettings(f"the settings file cannot be read: {error}") from None

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
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=settings_file()))

    def origins(self) -> Mapping[str, str]:
        """Tell for each setting where its value came from: ``environment``, ``file`` or ``default``."""
        kind = type(self)
        environment = EnvSettingsSource(kind)()
        file = TomlConfigSettingsSource(kind, toml_file=settings_file())()
        found: dict[str, str] = {}
        for name, field in kind.model_fields.items():
            names = {name, str(field.validation_alias)}
            in_environment = names & environment.keys()
            found[name] = "environment" if in_environment else "file" if names & file.keys() else "default"
        return found


def settings_file() -> Path | None:
    """Give the TOML file that settings are read from, or None where there is none."""
    named = os.environ.get("JANGBU_CONFIG")
    if named:
        return Path(named)
    return Path(_DEFAULT_FILE) if Path(_DEFAULT_FILE).is_file() else None
