"""Where each setting comes from, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.base.paths import ProfilePaths
from core.base.settings import SETTINGS, SettingInvalid, Settings, parse_arguments


def _write_config(data_dir: Path, text: str, network: str = "regtest") -> None:
    config = ProfilePaths(data_dir, network).config
    config.parent.mkdir(parents=True)
    config.write_text(text)


def test_defaults_are_bitcoin_the_keyring_and_nothing_listening() -> None:
    settings = parse_arguments([])
    assert (settings.network, settings.keystore, settings.binds) == ("bitcoin", "keyring", ())
    assert settings.origin("network") == "default"


def test_regtest_listens_on_loopback_unless_offline() -> None:
    assert parse_arguments(["--network", "regtest"]).binds == ("127.0.0.1:19846",)
    assert parse_arguments(["--network", "regtest", "--offline"]).binds == ()
    assert parse_arguments(["--network", "signet"]).binds == ()


def test_bind_may_be_given_several_times() -> None:
    settings = parse_arguments(["--bind", "127.0.0.1:0", "--bind", "[::1]:9735"])
    assert settings.binds == ("127.0.0.1:0", "[::1]:9735")


def test_a_flag_beats_the_environment_which_beats_the_profile(tmp_path: Path) -> None:
    _write_config(tmp_path, 'alias = "from profile"\ncolor = "111111"\nlog-level = "debug"\n')
    environ = {"LEYDEN_ALIAS": "from env", "LEYDEN_COLOR": "222222", "LEYDEN_NETWORK": "regtest"}
    settings = parse_arguments(["--data-dir", str(tmp_path), "--alias", "from flag"], environ)
    assert (settings.alias, settings.color, settings.log_level) == ("from flag", "222222", "debug")
    assert [settings.origin(name) for name in ("alias", "color", "log-level", "keystore")] == [
        "cmdline",
        "env",
        "config",
        "default",
    ]


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ("nonsense = 1", "nonsense"),
        ("network = 'signet'", "network"),
        ("alias = 3", "alias"),
        ("alias = 'x", "config.toml"),
        ("keystore = 'paper'", "keystore"),
        ("offline = 'yes'", "offline"),
        ("bind = [1]", "bind"),
        ("passphrase-file = '~nobody-has-this-name/x'", "passphrase-file"),
        ('passphrase-file = "a\\u0000b"', "passphrase-file"),
        ('alias = "\\u202Egpj"', "alias"),
        ("alias = " + "9" * 5_000, "config.toml"),
        ("alias = " + "[" * 5_000 + "]" * 5_000, "config.toml"),
        ("#" * 1_100_000, "config.toml"),
    ],
)
def test_a_profile_that_cannot_be_used_names_the_setting(tmp_path: Path, config: str, name: str) -> None:
    _write_config(tmp_path, config)
    with pytest.raises(SettingInvalid) as caught:
        parse_arguments(["--data-dir", str(tmp_path), "--network", "regtest"])
    assert (caught.value.name, caught.value.origin) == (name, "config")


def test_an_environment_that_cannot_be_used_names_the_setting() -> None:
    with pytest.raises(SettingInvalid) as caught:
        parse_arguments([], {"LEYDEN_OFFLINE": "perhaps"})
    assert (caught.value.name, caught.value.origin) == ("offline", "env")


def test_an_environment_that_is_no_utf8_names_the_setting() -> None:
    with pytest.raises(SettingInvalid) as caught:
        parse_arguments([], {"LEYDEN_ALIAS": "a\udc80"})
    assert (caught.value.name, caught.value.origin) == ("alias", "env")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
def test_a_profile_that_is_a_fifo_does_not_hold_the_start(tmp_path: Path) -> None:
    config = ProfilePaths(tmp_path, "regtest").config
    config.parent.mkdir(parents=True)
    os.mkfifo(config)
    with pytest.raises(SettingInvalid, match="regular file"):
        parse_arguments(["--data-dir", str(tmp_path), "--network", "regtest"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--alias", "ä" * 17], "34 bytes"),
        (["--color", "#3A4BD0"], "six hex digits"),
        (["--bind", "9735"], "HOST:PORT"),
        (["--bind", "127.0.0.1:70000"], "between 1 and 65535"),
        (["--bind", "example.com:9735"], "not an IP address"),
        (["--network", "litecoin"], "invalid choice"),
    ],
)
def test_a_wrong_flag_ends_with_words_and_code_two(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_arguments(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_an_alias_is_counted_in_bytes() -> None:
    assert parse_arguments(["--alias", "ä" * 16]).alias == "ä" * 16


def test_every_row_has_a_field_of_its_default_and_words() -> None:
    for setting in SETTINGS:
        assert setting.doc
        if setting.name != "data-dir":
            assert Settings().value(setting.name) == setting.default


def test_test_options_stay_out_of_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    shown = capsys.readouterr().out
    assert "--keystore" in shown
    assert "gossip-queries" not in shown


def test_electrum_servers_say_whether_they_are_spoken_to_with_tls() -> None:
    settings = parse_arguments(["--electrum-server", "e.example:50002:s", "--electrum-server", "[::1]:50001:t"])
    assert settings.electrum_server == ("e.example:50002:s", "[::1]:50001:t")
    assert settings.chain_source == "auto"


@pytest.mark.parametrize("text", ["e.example", "e.example:50002", "e.example:50002:x", ":50002:s", "e.example:0:s"])
def test_another_form_of_an_electrum_server_is_refused(text: str) -> None:
    with pytest.raises(SettingInvalid, match="electrum-server"):
        parse_arguments([], {"LEYDEN_ELECTRUM_SERVER": text})


def test_a_bitcoin_core_elsewhere_is_not_reached_past_the_proxy() -> None:
    sealed = {"LEYDEN_PROXY": "127.0.0.1:9050", "LEYDEN_ALWAYS_USE_PROXY": "1"}
    with pytest.raises(SettingInvalid, match="not reached through the proxy"):
        parse_arguments([], sealed | {"LEYDEN_BITCOIN_RPC": "192.0.2.1:8332"})
    assert parse_arguments([], sealed | {"LEYDEN_BITCOIN_RPC": "127.0.0.1:8332"}).bitcoin_rpc == "127.0.0.1:8332"
