"""What is pure of the Electrum source: names of servers, answers, headers, and the file of certificates."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from core.chain.electrum_protocol import (
    BadAnswer,
    ElectrumServer,
    parse_server,
    read_fee,
    read_headers,
    read_position,
    read_tip,
    read_unspent,
)
from core.chain.headers import GENESIS_HEADER, REGTEST_BITS, Block, HeaderRefused, double_sha256, mine_header
from core.chain.light_headers import (
    KEPT_PERIODS,
    PERIOD_BLOCKS,
    PERIOD_S,
    RULES,
    Header,
    HeaderRules,
    HeaderWindow,
    bits_of,
    merkle_root_of,
    target_of,
    window_start,
)
from core.chain.pins import BY_AUTHORITY, PinStore, fingerprint
from core.chain.transactions import merkle_root
from core.storage.errors import FileDamaged, ProfileUnusable

MAINNET_GENESIS = bytes.fromhex(
    "01000000"
    + "00" * 32
    + "3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a"
    + "29ab5f49ffff001d1dac2b7c"
)
MAINNET_BLOCK_840000 = bytes.fromhex(
    "00e05f2aab948491071265ad552351d0ad625745668da54b017201000000000000000000"
    "4f89a5d73bd4d4887f25981fe81892ccafda10c27f52d6f3dd28183a7c411b03b7072366194203177d9863ea"
)
MAINNET_BLOCK_1 = bytes.fromhex(
    "010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000"
    "982051fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299"
)


def mined(count: int, *, on: Block | None = None, spacing_s: int = 600) -> list[bytes]:
    """Headers of a regtest chain, by default on its genesis block."""
    block = on or Block(GENESIS_HEADER, double_sha256(GENESIS_HEADER), 0, None)
    headers = []
    for _ in range(count):
        headers.append(mine_header(block, os.urandom(32), block.time + spacing_s))
        block = Block.on(block, headers[-1])
    return headers


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("electrum.example:50002:s", ElectrumServer("electrum.example", 50002, True)),
        ("127.0.0.1:50001:t", ElectrumServer("127.0.0.1", 50001, False)),
        ("[::1]:50001:t", ElectrumServer("::1", 50001, False)),
        ("a.onion:1:t", ElectrumServer("a.onion", 1, False)),
    ],
)
def test_servers_are_written_as_electrum_writes_them(text: str, server: ElectrumServer) -> None:
    assert parse_server(text) == server
    assert f"{server}:{'s' if server.tls else 't'}" == text


@pytest.mark.parametrize(
    "text", ["", "host", "host:1", "host:1:x", ":1:s", "host:0:s", "host:65536:s", "host:1e3:s", "::1:5:t", "a b:1:s"]
)
def test_what_names_no_server_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_server(text)


@pytest.mark.parametrize(
    ("read", "answer"),
    [
        (read_tip, None),
        (read_tip, {"height": -1, "hex": "00" * 80}),
        (read_tip, {"height": True, "hex": "00" * 80}),
        (read_tip, {"height": 1, "hex": "00" * 79}),
        (read_tip, {"height": 1, "hex": "zz"}),
        (lambda answer: read_headers(answer, 1), {"hex": "00" * 160}),
        (lambda answer: read_headers(answer, 1), {"hex": "00" * 79}),
        (lambda answer: read_headers(answer, 1), {"headers": ["00" * 80] * 2}),
        (lambda answer: read_headers(answer, 1), {"headers": "00"}),
        (read_fee, "0.1"),
        (read_fee, True),
        (read_fee, 0.2),
        (read_fee, float("nan")),
        (read_position, {"tx_hash": "00" * 32, "merkle": ["00" * 32] * 33}),
        (read_position, {"tx_hash": "00" * 31, "merkle": []}),
        (lambda answer: read_unspent(answer, bytes(32), 0), {}),
        (lambda answer: read_unspent(answer, bytes(32), 0), [{"tx_hash": "00" * 32, "tx_pos": 0, "height": "1"}]),
    ],
)
def test_an_answer_that_breaks_the_protocol_is_told(read: Any, answer: object) -> None:
    with pytest.raises(BadAnswer):
        read(answer)


def test_headers_come_in_either_shape_of_the_protocol() -> None:
    assert read_headers({"hex": "11" * 80 + "22" * 80}, 2) == [b"\x11" * 80, b"\x22" * 80]
    assert read_headers({"headers": ["11" * 80, "22" * 80]}, 2) == [b"\x11" * 80, b"\x22" * 80]


def test_no_estimate_is_told_from_a_low_one() -> None:
    assert read_fee(-1) is None
    assert read_fee(0.00001) == 1000


def test_an_output_outside_any_block_does_not_count() -> None:
    entry = {"tx_hash": "00" * 32, "tx_pos": 0, "height": 0, "value": 5}
    assert read_unspent([entry], bytes(32), 0) is None
    assert read_unspent([{**entry, "height": 3}], bytes(32), 0) == (3, 5)


@pytest.mark.parametrize("bits", [0x1D00FFFF, 0x1E0377AE, 0x207FFFFF, 0x17034219, 0x1B0404CB, 0x03123456])
def test_compact_targets_go_there_and_back(bits: int) -> None:
    assert bits_of(target_of(bits)) == bits


@pytest.mark.parametrize("bits", [0, 0x1D800001, 0xFF7FFFFF, 0x03000000])
def test_compact_targets_that_are_none(bits: int) -> None:
    with pytest.raises(HeaderRefused):
        target_of(bits)


def test_the_first_blocks_of_mainnet_hold_but_for_their_age() -> None:
    old_rules = HeaderRules(0x1D00FFFF)
    window = HeaderWindow(old_rules, 0)
    window.extend([MAINNET_GENESIS, MAINNET_BLOCK_1])
    assert (window.height, window.tip.hash[::-1].hex()) == (
        1,
        "00000000839a8e6886ab5951d76f411475428afc90947ee320161bbf18eb6048",
    )
    with pytest.raises(HeaderRefused, match="far easier"):
        HeaderWindow(RULES["bitcoin"], 0).extend([MAINNET_GENESIS])


def test_the_least_difficulty_of_mainnet_is_a_sixteenth_of_block_840000s() -> None:
    """A floor that was mistyped would refuse the real chain, or let an old one pass for it."""
    header = Header.read(MAINNET_BLOCK_840000)
    assert header.hash[::-1].hex() == "0000000000000000000320283a032748cef8227873ff4872689bf23f1cda83a5"
    header.check_work(RULES["bitcoin"])
    assert header.bits == 0x17034219
    assert target_of(RULES["bitcoin"].weakest_bits or 0) == 16 * target_of(header.bits)
    HeaderWindow(RULES["bitcoin"], 840_000).extend([MAINNET_BLOCK_840000])


def test_each_rule_of_a_header_is_checked() -> None:
    headers = mined(30)
    rules = RULES["regtest"]

    def refused(broken: bytes, match: str) -> None:
        window = HeaderWindow(rules, 1)
        window.extend(headers[:20])
        with pytest.raises(HeaderRefused, match=match):
            window.extend([broken])
        assert window.height == 20

    refused(headers[20][:79], "79 bytes")
    refused(headers[21], "does not follow")
    parent = Block(headers[19], double_sha256(headers[19]), 20, None)
    early = mine_header(parent, bytes(32), 0)
    missing = next(
        raw
        for nonce in range(100)
        if int.from_bytes(double_sha256(raw := early[:76] + nonce.to_bytes(4, "little")), "little") >= 1 << 255
    )
    refused(missing, "misses the target")
    refused(early[:72] + (0x2100FFFF).to_bytes(4, "little") + early[76:], "easier than")


def test_a_time_before_the_median_is_refused() -> None:
    headers = mined(12)
    old = Block(headers[-1], double_sha256(headers[-1]), 12, None)
    window = HeaderWindow(RULES["regtest"], 1)
    window.extend(headers)
    late = Header.read(headers[-11 + 5]).time
    for nonce in range(1000):
        header = headers[-1][:4] + old.hash + bytes(32) + late.to_bytes(4, "little") + headers[-1][72:76]
        header += nonce.to_bytes(4, "little")
        if int.from_bytes(double_sha256(header), "little") < 1 << 255 - 1:
            break
    with pytest.raises(HeaderRefused, match="median"):
        window.extend([header])


def test_difficulty_follows_the_times_of_a_whole_period() -> None:
    rules = HeaderRules(REGTEST_BITS)
    for spacing_s, factor in ((300, 0.5), (600, 1.0), (60, 0.25)):
        window = HeaderWindow(rules, 0)
        window.extend([GENESIS_HEADER, *mined(PERIOD_BLOCKS - 1, spacing_s=spacing_s)])
        wanted = target_of(window._due_bits(0)) / target_of(REGTEST_BITS)
        assert wanted == pytest.approx(factor, rel=0.01)
    assert PERIOD_S == PERIOD_BLOCKS * 600


def test_a_window_begins_at_a_change_of_difficulty_and_forgets_whole_periods() -> None:
    assert [window_start(height) for height in (0, 2015, 2016, 4031, 4032, 6048)] == [0, 0, 0, 0, 2016, 4032]
    window = HeaderWindow(RULES["regtest"], 0)
    headers = [GENESIS_HEADER, *mined(KEPT_PERIODS * PERIOD_BLOCKS + 1)]
    window.extend(headers)
    kept = window.up_to(window.height)
    assert (kept.base, kept.height, kept.tip.raw) == (PERIOD_BLOCKS, window.height, headers[-1])
    assert kept.at(PERIOD_BLOCKS - 1) is None
    assert window.up_to(5).base == 0
    assert window.work_above(window.height - 2) == 2 * window.tip.work


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_a_branch_leads_to_the_root_of_its_block(count: int) -> None:
    txids = [bytes([number]) * 32 for number in range(count)]
    for index in range(count):
        level, place, branch = list(txids), index, []
        while len(level) > 1:
            level += [level[-1]] if len(level) % 2 else []
            branch.append(level[place ^ 1])
            level = [double_sha256(a + b) for a, b in zip(level[::2], level[1::2], strict=True)]
            place >>= 1
        assert merkle_root_of(txids[index], index, branch) == merkle_root(txids)


async def test_pins_are_private_come_back_and_can_be_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "certificates.json"
    pins = await PinStore.open(path)
    await pins.remember("Host.example", 50002, fingerprint(b"certificate"))
    await pins.remember("b.example", 1, BY_AUTHORITY)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = await PinStore.open(path)
    assert again.get("host.EXAMPLE", 50002) == fingerprint(b"certificate")
    assert again.get("b.example", 1) == BY_AUTHORITY
    await again.forget("host.example", 50002)
    assert (await PinStore.open(path)).get("host.example", 50002) is None


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"version": 2, "certificates": {}}',
        '{"version": 1}',
        '{"version": 1, "certificates": {"a:1": "00"}}',
    ],
)
async def test_a_damaged_list_of_pins_is_set_aside_and_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "certificates.json"
    path.write_text(content)
    with pytest.raises(FileDamaged) as caught:
        await PinStore.open(path)
    assert caught.value.set_aside.read_text() == content
    assert (await PinStore.open(path)).get("a", 1) is None


async def test_a_pin_that_cannot_be_written_is_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "certificates.json"
    pins = await PinStore.open(path)
    with pytest.raises(ProfileUnusable):
        await pins.remember("a", 1, bytes(32))
    assert pins.get("a", 1) is None


async def test_what_a_kill_left_of_a_write_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "certificates.json"
    await (await PinStore.open(path)).remember("a", 1, bytes(32))
    path.with_name(path.name + ".tmp").write_text(json.dumps({"version": 1})[:7])
    pins = await PinStore.open(path)
    await pins.remember("b", 2, bytes(32))
    assert (await PinStore.open(path)).get("a", 1) == bytes(32)
