"""Every setting once: flags, environment, `config.toml` and `listconfigs` all come from `SETTINGS`.

Order of precedence: flag, environment (`LEYDEN_NETWORK` and so on), profile (`config.toml`), default. The network and
the data directory decide which profile is read, so they are never taken from it.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import stat
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from core.base.errors import LeydenError
from core.base.paths import ProfilePaths, default_data_dir
from core.base.setting_faults import FAULTS, parse_ip_and_port
from core.bolt.networks import NETWORKS

MAX_CONFIG_BYTES = 1 << 20
Kind = Literal["text", "choice", "flag", "path", "list"]
Origin = Literal["cmdline", "env", "config", "default"]


class SettingInvalid(LeydenError):
    """A value that cannot be used: `name`, `value`, `reason` in plain words, `origin` where it stands."""

    def __init__(self, *, name: str, value: object, reason: str, origin: str) -> None:
        super().__init__(name=name, value=value, reason=reason, origin=origin)
        self.name, self.value, self.reason, self.origin = name, value, reason, origin


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table."""

    name: str
    """As in the flag, with dashes."""
    kind: Kind
    default: object
    doc: str
    needs_restart: bool = True
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    profile: bool = True
    """Whether `config.toml` may hold it."""

    @property
    def attribute(self) -> str:
        return self.name.replace("-", "_")


SETTINGS: tuple[Setting, ...] = (
    Setting("network", "choice", "bitcoin", "the chain to be on", choices=tuple(NETWORKS), profile=False),
    Setting("data-dir", "path", None, "where profiles are kept", metavar="DIR", profile=False),
    Setting(
        "bind",
        "list",
        (),
        "listen for peers here, or on the local socket /PATH; port 0 picks one (default: loopback on regtest, "
        "elsewhere nothing listens). An init over --mmrpc listens on its own port here; without --bind on every "
        "address, on regtest on loopback",
        metavar="HOST:PORT",
    ),
    Setting(
        "chain-source",
        "choice",
        "auto",
        "what the chain is followed with; auto is embedded on regtest, elsewhere electrum",
        choices=("auto", "electrum", "bitcoin-rpc", "embedded"),
    ),
    Setting(
        "electrum-server",
        "list",
        (),
        "Electrum server, :s with TLS or :t without; may be given several times (default: well-known public ones, "
        "except on regtest)",
        metavar="HOST:PORT:s",
    ),
    Setting("bitcoin-rpc", "text", "", "the RPC of a Bitcoin Core of yours", metavar="HOST:PORT"),
    Setting("bitcoin-rpc-user", "text", "", "its user, with --bitcoin-rpc-password-file", metavar="NAME"),
    Setting("bitcoin-rpc-password-file", "path", None, "file with that user's password", metavar="FILE"),
    Setting("bitcoin-rpc-cookie", "path", None, "Bitcoin Core's .cookie file, instead of a password", metavar="FILE"),
    Setting("proxy", "text", "", "SOCKS5 proxy such as Tor for .onion addresses", metavar="HOST:PORT"),
    Setting(
        "always-use-proxy",
        "flag",
        False,
        "every peer through the proxy, no name resolved here, and nothing listens but on a loopback --bind",
    ),
    Setting(
        "tor-control",
        "text",
        "",
        "be reached by an onion service of our own, made by the Tor whose control port this is (loopback)",
        metavar="HOST:PORT",
    ),
    Setting(
        "tor-control-password-file",
        "path",
        None,
        "file with the password of Tor's control port (default: Tor's cookie file)",
        metavar="FILE",
    ),
    Setting(
        "dns-seed",
        "list",
        (),
        "ask this DNS seed for the address of a peer of whom none is known (default: no seed is asked)",
        metavar="NAME",
    ),
    Setting(
        "disable-dns",
        "flag",
        False,
        "look up no name behind an address of a peer (dns:NAME) and ask no DNS seed; a host that you name still is",
    ),
    Setting(
        "rapid-gossip-sync",
        "text",
        "",
        "learn the network faster from this snapshot, which nobody signed: a file, or a server of LDK's rapid gossip "
        "sync, asked once a day (default: none)",
        metavar="URL|FILE",
    ),
    Setting("offline", "flag", False, "do not listen for peers and dial nobody at start"),
    Setting(
        "gossip-check-chain",
        "choice",
        "on",
        "look channels of others up on the chain; off, or where the chain source cannot, none is told to peers",
        choices=("on", "off"),
    ),
    Setting("cln-strict", "flag", False, "connect to an id alone uses no remembered address, as in Core Lightning"),
    Setting("alias", "text", "", "the node's name, at most 32 bytes", metavar="NAME"),
    Setting("color", "text", "", "the node's colour", metavar="RRGGBB"),
    Setting(
        "keystore",
        "choice",
        "keyring",
        "where the node's key is kept: the system's keyring, an encrypted file, or memory alone",
        choices=("keyring", "file", "memory"),
    ),
    Setting("passphrase-file", "path", None, "file with the passphrase of the encrypted key file", metavar="FILE"),
    Setting("ephemeral", "flag", False, "allow a key in memory on bitcoin, gone with the program", profile=False),
    Setting(
        "log-level",
        "choice",
        "info",
        "how much is written to the log",
        choices=("debug", "info", "warning", "error"),
        needs_restart=False,
    ),
    Setting(
        "plugin",
        "list",
        (),
        "run this Core Lightning plugin, an executable file, as a child process; may be given several times",
        metavar="FILE",
    ),
    Setting(
        "allow-even-custom-messages",
        "flag",
        False,
        "send custom messages of even types too; a peer that does not know them closes the connection",
    ),
    Setting(
        "mmrpc",
        "text",
        "",
        "serve Komodo DeFi Framework's task RPC over HTTP here, on loopback (default: it is not served)",
        metavar="HOST:PORT",
    ),
    Setting("rpc-password-file", "path", None, "file with the password (userpass) of --mmrpc", metavar="FILE"),
    Setting(
        "mmrpc-texts",
        "choice",
        "seed",
        "where the texts of mmrpc's errors changed: those of its documentation, or today's",
        choices=("seed", "current"),
    ),
    Setting("mmrpc-origin", "list", (), "web page that may use --mmrpc (default: none may)", metavar="ORIGIN"),
    Setting("no-activate", "flag", False, "wait until --mmrpc or the window is asked to bring Lightning up"),
    Setting("demo", "flag", False, "start two practice peers on loopback to try things with", profile=False),
    Setting("headless", "flag", False, "run without a window", profile=False),
    Setting("no-wizard", "flag", False, "open a new profile at once, without asking how it shall be", profile=False),
    Setting(
        "auto-lock-minutes",
        "text",
        "0",
        "lock the window after so many minutes without a key or the pointer; 0 is never",
        metavar="MINUTES",
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The values in force, checked."""

    network: str = "bitcoin"
    data_dir: Path = field(default_factory=default_data_dir)
    bind: tuple[str, ...] = ()
    chain_source: str = "auto"
    electrum_server: tuple[str, ...] = ()
    bitcoin_rpc: str = ""
    bitcoin_rpc_user: str = ""
    bitcoin_rpc_password_file: Path | None = None
    bitcoin_rpc_cookie: Path | None = None
    proxy: str = ""
    always_use_proxy: bool = False
    tor_control: str = ""
    tor_control_password_file: Path | None = None
    dns_seed: tuple[str, ...] = ()
    disable_dns: bool = False
    rapid_gossip_sync: str = ""
    offline: bool = False
    gossip_check_chain: str = "on"
    cln_strict: bool = False
    alias: str = ""
    color: str = ""
    keystore: str = "keyring"
    passphrase_file: Path | None = None
    ephemeral: bool = False
    log_level: str = "info"
    plugin: tuple[str, ...] = ()
    allow_even_custom_messages: bool = False
    mmrpc: str = ""
    rpc_password_file: Path | None = None
    mmrpc_texts: str = "seed"
    mmrpc_origin: tuple[str, ...] = ()
    no_activate: bool = False
    demo: bool = False
    headless: bool = False
    no_wizard: bool = False
    auto_lock_minutes: str = "0"
    origins: Mapping[str, Origin] = field(default_factory=dict)

    def origin(self, name: str) -> Origin:
        """Where the setting called `name` (with dashes) got its value."""
        return self.origins.get(name, "default")

    def value(self, name: str) -> Any:
        """The setting called `name` (with dashes)."""
        return getattr(self, name.replace("-", "_"))

    @property
    def paths(self) -> ProfilePaths:
        return ProfilePaths(self.data_dir, self.network)

    @property
    def binds(self) -> tuple[str, ...]:
        """Where to listen: what was chosen, loopback on regtest, otherwise nowhere."""
        if self.offline:
            return ()
        if self.bind or self.always_use_proxy:
            return self.bind
        return (f"127.0.0.1:{NETWORKS['regtest'].default_port}",) if self.network == "regtest" else ()


def make_parser(program: str) -> argparse.ArgumentParser:
    """The flags; each absent one is left out of the namespace, so that its origin stays known."""
    parser = argparse.ArgumentParser(
        prog=program, description="Leyden, a Lightning node manager.", argument_default=argparse.SUPPRESS
    )
    for setting in SETTINGS:
        options: dict[str, Any] = {
            "dest": setting.name,
            "help": _help(setting),
        }
        if setting.kind == "flag":
            options["action"] = "store_true"
        else:
            options["action"] = "append" if setting.kind == "list" else "store"
            options["metavar"] = setting.metavar
            if setting.choices:
                options["choices"] = setting.choices
                del options["metavar"]
        parser.add_argument(f"--{setting.name}", **options)
    return parser


def _help(setting: Setting) -> str:
    if setting.default in (None, "", (), False):
        return setting.doc
    return f"{setting.doc} (default: {setting.default})"


def parse_arguments(argv: Sequence[str], environ: Mapping[str, str] | None = None, program: str = "leyden") -> Settings:
    """The settings in force. SettingInvalid for a value of environment or file that cannot be used.

    A wrong flag ends the process with argparse's own message and exit code 2, as any command does.
    """
    parser = make_parser(program)
    given = vars(parser.parse_args(argv))
    environment = _from_environment(environ or {})
    try:
        profile = ProfilePaths(
            Path(os.path.expanduser(_first("data-dir", given, environment) or default_data_dir())),
            str(_first("network", given, environment) or "bitcoin"),
        )
        return _resolve({"cmdline": given, "env": environment, "config": _from_profile(profile.config)})
    except SettingInvalid as error:
        if error.origin != "cmdline":
            raise
        parser.error(f"argument --{error.name}: {error.reason}")


def _first(name: str, *sources: Mapping[str, Any]) -> Any:
    return next((source[name] for source in sources if name in source), None)


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        text = environ.get("LEYDEN_" + setting.attribute.upper())
        if text is None:
            continue
        if setting.kind == "flag":
            if text.lower() not in ("0", "1", "false", "true"):
                raise SettingInvalid(name=setting.name, value=text, reason="it should be 0 or 1", origin="env")
            values[setting.name] = text.lower() in ("1", "true")
        else:
            values[setting.name] = text.split(",") if setting.kind == "list" else text
    return values


def _from_profile(config: Path) -> dict[str, Any]:
    try:
        text = _read_config(config)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingInvalid(name="config.toml", value=str(config), reason=str(error), origin="config") from None
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number beyond Python's limit is no TOMLDecodeError
        raise SettingInvalid(name="config.toml", value=str(config), reason=str(error), origin="config") from None
    allowed = {setting.name: setting for setting in SETTINGS if setting.profile}
    for name, value in table.items():
        if name not in allowed:
            raise SettingInvalid(name=name, value=value, reason="config.toml has no such setting", origin="config")
        wanted: type = {"flag": bool, "list": list}.get(allowed[name].kind, str)
        reason = f"it should be a {wanted.__name__}" if not isinstance(value, wanted) else ""
        if isinstance(value, list) and not all(isinstance(each, str) for each in value):
            reason = reason or "it should be a list of texts"
        if reason:
            raise SettingInvalid(name=name, value=value, reason=reason, origin="config")
    return table


def _read_config(config: Path) -> str:
    # Not blocking, lest a FIFO holds the start for ever.
    with open(config, "rb", opener=lambda path, flags: os.open(path, flags | getattr(os, "O_NONBLOCK", 0))) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("it is not a regular file")
        data = file.read(MAX_CONFIG_BYTES + 1)
    if len(data) > MAX_CONFIG_BYTES:
        raise OSError(f"it is longer than {MAX_CONFIG_BYTES} bytes")
    return data.decode()


def _resolve(sources: Mapping[str, Mapping[str, Any]]) -> Settings:
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for setting in SETTINGS:
        for origin, source in sources.items():
            if setting.name in source:
                value = _checked(setting, source[setting.name], origin)
                values[setting.attribute] = value
                origins[setting.name] = cast("Origin", origin)
                break
    settings = Settings(**values, origins=origins)
    if settings.always_use_proxy:
        _check_sealed(settings)
    if settings.mmrpc and settings.rpc_password_file is None:
        origin = settings.origin("mmrpc")
        raise SettingInvalid(name="mmrpc", value=settings.mmrpc, reason="it needs --rpc-password-file", origin=origin)
    return settings


def _check_sealed(settings: Settings) -> None:
    """With `always-use-proxy` there is a proxy, and who listens is seen by this computer alone."""
    if not settings.proxy:
        origin = settings.origin("always-use-proxy")
        raise SettingInvalid(name="always-use-proxy", value=True, reason="it needs a proxy as well", origin=origin)
    if settings.bitcoin_rpc and not ipaddress.ip_address(parse_ip_and_port(settings.bitcoin_rpc)[0]).is_loopback:
        reason = "it is not loopback, and it is not reached through the proxy"
        origin = settings.origin("bitcoin-rpc")
        raise SettingInvalid(name="bitcoin-rpc", value=settings.bitcoin_rpc, reason=reason, origin=origin)
    for bind in settings.bind:
        if not bind.startswith("/") and not ipaddress.ip_address(parse_ip_and_port(bind)[0]).is_loopback:
            reason = f"{bind!r} is not loopback, and always-use-proxy allows nothing else"
            raise SettingInvalid(name="bind", value=settings.bind, reason=reason, origin=settings.origin("bind"))


def _checked(setting: Setting, value: Any, origin: str) -> Any:
    """The value in its type; SettingInvalid in plain words when it cannot be used."""

    def refuse(reason: str) -> SettingInvalid:
        return SettingInvalid(name=setting.name, value=value, reason=reason, origin=origin)

    if setting.choices and value not in setting.choices:
        raise refuse(f"{value!r} is none of {', '.join(setting.choices)}")
    if setting.kind == "path":
        return _path_of(value, refuse)
    if setting.name == "plugin":
        return tuple(str(_path_of(text, refuse)) for text in value)
    fault = FAULTS.get(setting.name)
    if fault is not None:
        for text in value if setting.kind == "list" else (value,):
            reason = fault(text)
            if reason:
                raise refuse(reason)
    return tuple(value) if setting.kind == "list" else value


def _path_of(text: str, refuse: Callable[[str], SettingInvalid]) -> Path:
    if not text or "\0" in text:
        raise refuse("it is not a path")
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:  # `~name` of nobody
        raise refuse(f"{text!r} is in nobody's home folder") from None
