"""The settings of `ledger serve`, from the environment: `LEDGER_` and the name in capitals (docs/operations.md)."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ledger.errors import BadSetting, Malformed
from ledger.model.reference import check_ledger
from ledger.service.follower import MAX_LAG_S, REACH_S
from ledger.service.pacing import TARGET_S, WriteLimits

PREFIX = "LEDGER_"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
EVERY_ADDRESS = ("0.0.0.0", "::")
ANY_HOST = "*"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listed(value: Any) -> Any:
    """`a, b` as ("a", "b"): what people write into an environment."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _host_name(name: str) -> str:
    if not name or any(character in name for character in "/@ "):
        raise ValueError(f"{name!r} is no host name; give it without scheme, port and path")
    return name.strip("[]").lower()


def _ledger(name: str) -> str:
    try:
        return check_ledger(name)
    except Malformed as error:
        raise ValueError(error.message) from error


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query or parts.fragment:
        raise ValueError(f"{text!r} is no origin, like https://ledger.example")
    return text.lower()


Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
HostNames = Annotated[tuple[Annotated[str, AfterValidator(_host_name)], ...], NoDecode, BeforeValidator(_listed)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_listed)]

LedgerNames = Annotated[tuple[Annotated[str, AfterValidator(_ledger)], ...], NoDecode, BeforeValidator(_listed)]


class Settings(BaseSettings):
    """What a service is told once, when it starts. `Settings.read()` has the errors people can use."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    store: str = Field("sqlite:///ledger.db", description="Store address.")
    host: str = Field("127.0.0.1", description="Address to listen on; another than loopback needs an API key.")
    port: int = Field(8321, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    api_key: SecretStr | None = Field(None, description="What clients send as `Authorization: Bearer …`.")
    api_key_file: Path | None = Field(None, description="A file that holds the API key, where `api_key` is not set.")
    allowed_hosts: HostNames = Field(
        (), description="Names clients may reach it by, beside loopback and `host`; `*`: any."
    )
    allowed_origins: Origins = Field((), description="Origins of web pages that may call it, beside its own.")
    preload: LedgerNames = Field(("main",), description="Ledgers to read before it is ready, where they exist.")
    max_lag_s: Seconds = Field(
        MAX_LAG_S, description="How long nothing may be heard from the store and answers still be fresh."
    )
    reach_s: Seconds = Field(REACH_S, description="How long a read waits for the revision it names (`at_least`).")
    header_timeout_s: Seconds = Field(30.0, description="How long the head of a request may take to come.")
    request_timeout_s: Seconds = Field(30.0, description="How long a request may take until its answer begins.")
    drain_s: Seconds = Field(30.0, description="How long requests under way may go on after SIGTERM.")
    body_bytes_max: int = Field(16 << 20, ge=1_024, description="Bytes of a request's body.")
    refs_max: Count = Field(10_000, description="References of one check.")
    commands_max: Count = Field(10_000, description="Commands of one request.")
    queue_commands_max: Count = Field(20_000, description="Commands that may wait to be recorded in one ledger.")
    queue_chars_max: Count = Field(256 << 20, description="Characters of content that may wait there.")
    commit_target_s: Seconds = Field(
        TARGET_S, description="What a commit may take; the next are smaller if it did not."
    )
    graphql_tokens_max: Count = Field(4_000, description="Tokens of a GraphQL document.")
    graphql_depth_max: Count = Field(20, description="How deep a GraphQL operation may go.")
    graphql_aliases_max: Count = Field(50, description="Aliases in a GraphQL operation.")
    graphql_cost_max: Count = Field(50_000, description="Fields that a GraphQL answer may have, as estimated.")
    graphql_page_max: Count = Field(500, description="Entries of a page.")
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="How the log is written; auto: for people at a terminal, else as JSON."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="What is logged; `info` has a line for each request."
    )

    @classmethod
    def read(cls, **given: Any) -> Self:
        """The settings of the environment; what is given and not None wins over it. Raises BadSetting."""
        try:
            settings = cls(**{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            raise _told(error) from error
        key = settings._key()
        if key is None and not is_loopback(settings.host):
            raise BadSetting(
                f"listening on {settings.host} needs an API key, so that not everyone who reaches it can write: set "
                "LEDGER_API_KEY or LEDGER_API_KEY_FILE, or stay on 127.0.0.1",
                setting="LEDGER_API_KEY",
            )
        return settings if key is None else settings.model_copy(update={"api_key": SecretStr(key)})

    @property
    def hosts(self) -> frozenset[str]:
        """Every name that a Host header may carry."""
        own = () if self.host in EVERY_ADDRESS else (self.host.lower(),)
        return frozenset((*LOOPBACK_NAMES, *own, *self.allowed_hosts))

    @property
    def writing(self) -> WriteLimits:
        """Those of the writes to each ledger."""
        return WriteLimits(self.commit_target_s, self.queue_commands_max, self.queue_chars_max)

    def _key(self) -> str | None:
        if self.api_key is not None:
            return _usable(self.api_key.get_secret_value(), "LEDGER_API_KEY")
        if self.api_key_file is None:
            return None
        try:
            text = self.api_key_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not text"
            raise BadSetting(
                f"LEDGER_API_KEY_FILE: {str(self.api_key_file)!r} cannot be read: {why}", setting="LEDGER_API_KEY_FILE"
            ) from error
        return _usable(text, "LEDGER_API_KEY_FILE")


def _usable(text: str, setting: str) -> str:
    """A key that a header can carry. Raises BadSetting, never showing the key."""
    key = text.strip()
    if not key:
        raise BadSetting(f"{setting} is empty; a service with an empty key would only look closed", setting=setting)
    if not all("!" <= character <= "~" for character in key):
        raise BadSetting(f"{setting}: a key is ASCII without spaces, so that a header can carry it", setting=setting)
    return key


def _told(error: ValidationError) -> BadSetting:
    """pydantic's first complaint by the name people know it by, without the value: it may be a secret."""
    first = error.errors(include_url=False, include_input=False)[0]
    setting = PREFIX + str(first["loc"][0]).upper() if first["loc"] else None
    message = first["msg"].removeprefix("Value error, ")
    return BadSetting(f"{setting}: {message[:1].lower() + message[1:]}", setting=setting)
