"""The proxy among the settings: what belongs together, and what would leak."""

from __future__ import annotations

import pytest

from core.base.settings import SettingInvalid, parse_arguments

PROXY = ["--proxy", "127.0.0.1:9050"]
ALWAYS = [*PROXY, "--always-use-proxy"]


def test_always_use_proxy_listens_nowhere_by_itself() -> None:
    assert parse_arguments(["--network", "regtest", *PROXY]).binds == ("127.0.0.1:19846",)
    assert parse_arguments(["--network", "regtest", *ALWAYS]).binds == ()


@pytest.mark.parametrize("bind", ["127.0.0.1:0", "localhost:9735", "[::1]:9735", "127.3.2.1:5", "/run/leyden.sock"])
def test_always_use_proxy_listens_where_only_this_computer_is(bind: str) -> None:
    assert parse_arguments([*ALWAYS, "--bind", bind]).binds == (bind,)


@pytest.mark.parametrize("bind", ["0.0.0.0:9735", "[::]:9735", "192.168.1.2:9735", "[2001:db8::1]:1"])
def test_always_use_proxy_refuses_to_listen_elsewhere(bind: str, capsys: pytest.CaptureFixture[str]) -> None:
    parse_arguments([*PROXY, "--bind", bind])
    with pytest.raises(SystemExit):
        parse_arguments([*ALWAYS, "--bind", "127.0.0.1:1", "--bind", bind])
    assert "not loopback" in capsys.readouterr().err


def test_always_use_proxy_needs_a_proxy() -> None:
    with pytest.raises(SettingInvalid) as caught:
        parse_arguments([], {"LEYDEN_ALWAYS_USE_PROXY": "1"})
    assert (caught.value.name, caught.value.origin) == ("always-use-proxy", "env")


@pytest.mark.parametrize("proxy", ["127.0.0.1:9050", "[::1]:9050", "localhost:9050"])
def test_a_proxy_is_an_ip_address_with_a_port(proxy: str) -> None:
    assert parse_arguments(["--proxy", proxy]).proxy == proxy


@pytest.mark.parametrize("proxy", ["tor.example:9050", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", ":9050"])
def test_a_proxy_that_cannot_be_used(proxy: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        parse_arguments([], {"LEYDEN_PROXY": proxy})
    assert caught.value.name == "proxy"


@pytest.mark.parametrize("control", ["127.0.0.1:9051", "[::1]:9051", "localhost:9051", ""])
def test_tors_control_port_is_on_loopback(control: str) -> None:
    assert parse_arguments([]).tor_control == ""
    assert parse_arguments(["--tor-control", control]).tor_control == control


@pytest.mark.parametrize("control", ["192.168.1.2:9051", "0.0.0.0:9051", "tor.example:9051", "127.0.0.1", "[::1]:0"])
def test_a_control_port_that_cannot_be_used(control: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        parse_arguments([], {"LEYDEN_TOR_CONTROL": control})
    assert caught.value.name == "tor-control"


def test_seeds_are_names() -> None:
    assert parse_arguments([]).dns_seed == ()
    assert parse_arguments(["--dns-seed", "seed.example", "--dns-seed", "b.example"]).dns_seed == (
        "seed.example",
        "b.example",
    )
    with pytest.raises(SettingInvalid):
        parse_arguments([], {"LEYDEN_DNS_SEED": "not a name"})


def test_a_local_socket_to_listen_on_has_a_path_that_fits() -> None:
    assert parse_arguments(["--bind", "/run/leyden.sock"]).binds == ("/run/leyden.sock",)
    with pytest.raises(SettingInvalid):
        parse_arguments([], {"LEYDEN_BIND": "/" + "x" * 107})
