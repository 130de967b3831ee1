"""Whatever stands in a profile's file, in the environment or on the command line: settings, or SettingInvalid."""

from __future__ import annotations

import dataclasses
import json
import string
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.base.settings import SETTINGS, SettingInvalid, Settings, parse_arguments

NAMES = [setting.name for setting in SETTINGS]
SYSTEM_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=())).map(
    # what a program can be given: bytes, of which those that are no UTF-8 become half surrogates
    lambda text: text.encode(errors="surrogatepass").decode(errors="surrogateescape")
)
LIKELY = st.sampled_from(
    ["", "0", "1", "true", "/", "~", "~nobody-here/x", "127.0.0.1:9735", "[::1]:0", "/\udcff", "é"]
)
TEXTS = LIKELY | SYSTEM_TEXT | st.text("0123456789.:[]/%,-", max_size=30)
file_of_this_test = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None
)


def read(folder: Path, content: bytes) -> Settings | None:
    """What comes of a `config.toml`; None when it is refused."""
    profile = folder / "regtest"
    profile.mkdir(exist_ok=True)
    (profile / "config.toml").write_bytes(content)
    try:
        return parse_arguments(["--data-dir", str(folder), "--network", "regtest"])
    except SettingInvalid:
        return None


@file_of_this_test
@given(st.binary(max_size=200) | st.text(string.printable, max_size=200).map(str.encode))
@example(b"[" * 30_000)
@example(b"x = " + b"9" * 5_000)
@example(b'bind = ["/\\u0000"]')
def test_any_file_is_settings_or_refused(tmp_path: Path, content: bytes) -> None:
    read(tmp_path, content)


@file_of_this_test
@given(st.sampled_from(NAMES), st.sampled_from(["", "[", "[["]), st.data())
def test_any_value_of_a_setting_is_taken_or_refused(
    tmp_path: Path, name: str, opening: str, data: st.DataObject
) -> None:
    value = data.draw(
        st.text(max_size=40).map(lambda text: '"' + "".join(f"\\U{ord(letter):08x}" for letter in text) + '"')
        | st.sampled_from(["true", "1", "1.5", "inf", "1979-05-27", "{}", "{a = 1}"])
    )
    content = f"{name} = {opening}{value}{']' * len(opening)}"
    read(tmp_path, content.encode(errors="surrogatepass"))


@settings(deadline=None)
@given(st.sampled_from(NAMES), TEXTS)
@example("bind", "/\udcff")
@example("bind", "/\ud800")
def test_any_environment_is_taken_or_refused(name: str, text: str) -> None:
    try:
        found = parse_arguments([], {f"LEYDEN_{name.upper().replace('-', '_')}": text})
    except SettingInvalid:
        return
    assert found.origin(name) == "env"


@settings(deadline=None)
@given(st.sampled_from(NAMES), TEXTS)
def test_any_argument_is_taken_or_ends_the_program_in_words(name: str, text: str) -> None:
    flag = next(setting for setting in SETTINGS if setting.name == name).kind == "flag"
    try:
        found = parse_arguments([f"--{name}"] if flag else [f"--{name}={text}"])
    except (SystemExit, SettingInvalid):
        return
    assert found.origin(name) == "cmdline"


@file_of_this_test
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "alias": st.text(string.ascii_letters + " é", max_size=16),
            "color": st.text("0123456789abcdefABCDEF", min_size=6, max_size=6),
            "bind": st.lists(st.integers(0, 65_535).map(lambda port: f"127.0.0.1:{port}"), max_size=3),
            "proxy": st.integers(1, 65_535).map(lambda port: f"[::1]:{port}"),
            "offline": st.booleans(),
            "log-level": st.sampled_from(["debug", "info", "warning", "error"]),
        },
    )
)
def test_what_a_file_says_is_what_holds(tmp_path: Path, chosen: dict[str, object]) -> None:
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in chosen.items()]
    found = read(tmp_path, "\n".join(lines).encode())
    assert found is not None
    for name, value in chosen.items():
        assert found.value(name) == (tuple(value) if isinstance(value, list) else value)
        assert found.origin(name) == "config"
    untouched = {each.name for each in dataclasses.fields(found)} - {name.replace("-", "_") for name in chosen}
    default = Settings(network="regtest", data_dir=tmp_path)
    assert all(getattr(found, name) == getattr(default, name) for name in untouched - {"origins"})
