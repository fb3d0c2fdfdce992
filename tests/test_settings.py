"""The settings of the service: where they come from, and what is refused before anything listens."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ledger.errors import BadSetting
from ledger.settings import Settings


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LEDGER_")]:
        monkeypatch.delenv(name)


def test_what_is_given_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_PORT", "8000")
    monkeypatch.setenv("LEDGER_MAX_LAG_S", "1.5")
    settings = Settings.read(port=9000, host=None)
    assert (settings.port, settings.max_lag_s, settings.host) == (9000, 1.5, "127.0.0.1")


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_ALLOWED_HOSTS", "Ledger.example, [2001:db8::1],")
    monkeypatch.setenv("LEDGER_ALLOWED_ORIGINS", "https://Desk.example:8443")
    settings = Settings.read()
    assert settings.allowed_hosts == ("ledger.example", "2001:db8::1")
    assert settings.allowed_origins == ("https://desk.example:8443",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "65536"),
        ("PORT", ""),
        ("MAX_LAG_S", "0"),
        ("MAX_LAG_S", "nan"),
        ("REQUEST_TIMEOUT_S", "inf"),
        ("BODY_BYTES_MAX", "12"),
        ("LOG_FORMAT", "xml"),
        ("ALLOWED_HOSTS", "https://ledger.example"),
        ("ALLOWED_ORIGINS", "ledger.example"),
        ("ALLOWED_ORIGINS", "https://ledger.example/path"),
        ("PRELOAD", "Main"),
        ("API_KEY", ""),
        ("API_KEY", " \n"),
        ("API_KEY", "two words"),
        ("API_KEY", "schlüssel"),
        ("API_KEY_FILE", "/nowhere/key"),
        ("API_KEY_FILE", "/dev/null"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"LEDGER_{name}", value)
    with pytest.raises(BadSetting) as refused:
        Settings.read()
    assert refused.value.details["setting"] == f"LEDGER_{name}"
    assert f"LEDGER_{name}" in refused.value.message


def test_a_refused_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_API_KEY", "correct horse battery staple")
    with pytest.raises(BadSetting) as refused:
        Settings.read()
    assert "horse" not in str(refused.value.as_dict())


class TestTheKey:
    def test_comes_from_a_file_without_the_space_around_it(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text("  s3cret\n")
        assert _key(Settings.read(api_key_file=tmp_path / "key")) == "s3cret"

    def test_of_the_environment_wins_over_the_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "key").write_text("of-the-file")
        monkeypatch.setenv("LEDGER_API_KEY", "of-the-environment")
        assert _key(Settings.read(api_key_file=tmp_path / "key")) == "of-the-environment"

    def test_is_not_shown_with_the_settings(self) -> None:
        assert "s3cret" not in repr(Settings.read(api_key="s3cret"))

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "ledger.example"])
    def test_is_needed_to_listen_for_others(self, host: str) -> None:
        with pytest.raises(BadSetting, match="LEDGER_API_KEY or LEDGER_API_KEY_FILE"):
            Settings.read(host=host)
        assert Settings.read(host=host, api_key="s3cret").host == host

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
    def test_is_not_needed_on_loopback(self, host: str) -> None:
        assert Settings.read(host=host).api_key is None


def test_every_address_is_no_name_to_be_reached_by() -> None:
    assert "0.0.0.0" not in Settings.read(host="0.0.0.0", api_key="s3cret").hosts
    assert "192.0.2.7" in Settings.read(host="192.0.2.7", api_key="s3cret").hosts


def _key(settings: Settings) -> str:
    assert settings.api_key is not None
    return settings.api_key.get_secret_value()
