"""BOLT 1 messages, the type table and the feature table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bolt import features
from core.bolt.address import Address, AddressKind
from core.bolt.messages import (
    ALL_CHANNELS,
    MAX_ANSWERED_PONG_BYTES,
    MAX_PING_IGNORED_BYTES,
    ErrorMessage,
    Init,
    PeerStorage,
    PeerStorageRetrieval,
    Ping,
    Pong,
    WarningMessage,
    message_type,
)
from core.bolt.networks import NETWORKS
from core.bolt.types import MESSAGE_TYPES, is_custom, name_of
from core.bolt.wire import OutOfRange, Truncated, WireError
from tests.support.work import least_cpu_s
from tests.vectors import load_csv, load_json

EXTENSIONS = load_json("bolt1_init_extension.json")
TYPE_ROWS = load_csv("message_types.csv")
FEATURE_ROWS = load_csv("feature_bits.csv")
CLN_INIT = (
    "001000021100000880089888" + "0a8a59a1" + "0120" + NETWORKS["regtest"].chain_hash.hex() + "0307017f000001bdfc"
)


@pytest.mark.parametrize("message", EXTENSIONS["valid"])
def test_valid_init_extensions_are_read(message: str) -> None:
    init = Init.decode(bytes.fromhex(message))
    assert (init.global_features, init.features, init.networks) == (b"", b"", None)


@pytest.mark.parametrize("message", EXTENSIONS["invalid"])
def test_invalid_init_extensions_are_refused(message: str) -> None:
    with pytest.raises(WireError):
        Init.decode(bytes.fromhex(message))


def test_an_init_of_core_lightning_is_read_and_written_to_the_byte() -> None:
    message = bytes.fromhex("0010" + "00021100" + "0008" + "800898880a8a59a1" + CLN_INIT[CLN_INIT.index("0120") :])
    init = Init.decode(message)
    assert init.networks == (NETWORKS["regtest"].chain_hash,)
    assert init.remote_addr == Address(AddressKind.IPV4, "127.0.0.1", 48636)
    assert set(features.bits(init.all_features)) >= {0, 8, 12, 14, 44, 63}
    assert init.encode() == message


def test_an_init_over_ipv6_goes_round() -> None:
    init = Init(b"", b"\x02", (), Address(AddressKind.IPV6, "2001:db8::1", 9735))
    assert Init.decode(init.encode()) == init


def test_a_remote_address_of_another_kind_is_passed_over() -> None:
    assert Init.decode(bytes.fromhex("00100000000003020512")).remote_addr is None


def test_networks_that_are_not_whole_hashes_are_refused() -> None:
    with pytest.raises(Truncated):
        Init.decode(bytes.fromhex("001000000000" + "0101aa"))


@pytest.mark.parametrize("kind", [ErrorMessage, WarningMessage])
def test_errors_and_warnings_show_only_printable_text(kind: type[ErrorMessage] | type[WarningMessage]) -> None:
    assert kind.decode(kind(ALL_CHANNELS, b"no common chain").encode()).text == "no common chain"
    assert kind(ALL_CHANNELS, b"red \x1b[31m").text == b"red \x1b[31m".hex()


@given(st.integers(0, 65_535), st.binary(max_size=500))
def test_pings_go_round_and_keep_no_trailing_bytes(num_pong_bytes: int, ignored: bytes) -> None:
    ping = Ping(num_pong_bytes, ignored)
    assert Ping.decode(ping.encode() + b"trailing") == ping


@pytest.mark.parametrize("kind", [Pong, PeerStorage, PeerStorageRetrieval])
def test_one_field_messages_go_round(kind: type[Pong] | type[PeerStorage] | type[PeerStorageRetrieval]) -> None:
    message = kind(b"some bytes")
    assert kind.decode(message.encode()) == message


def test_a_blob_beyond_its_bound_is_not_written() -> None:
    assert len(PeerStorage(bytes(65_531)).encode()) == 65_535
    with pytest.raises(OutOfRange):
        PeerStorage(bytes(65_532)).encode()


@given(st.sampled_from([Init, ErrorMessage, WarningMessage, Ping, Pong, PeerStorage]), st.binary(max_size=120))
def test_any_bytes_decode_or_raise_only_a_wire_error(kind: type[Init] | type[Ping], data: bytes) -> None:
    try:
        decoded = kind.decode(kind.TYPE.to_bytes(2, "big") + data)
    except WireError:
        return
    assert kind.decode(decoded.encode()) == decoded


@pytest.mark.parametrize(
    ("message", "written"),
    [
        (Init(b"\x01", b"\x02"), "0010" + "000101" + "000102"),
        (ErrorMessage(ALL_CHANNELS, b"no"), "0011" + "00" * 32 + "00026e6f"),
        (WarningMessage(b"\xab" * 32, b""), "0001" + "ab" * 32 + "0000"),
        (Ping(258, b"\xff"), "0012" + "0102" + "0001ff"),
        (Pong(b"\xff"), "0013" + "0001ff"),
        (PeerStorage(b"\xff"), "0007" + "0001ff"),
        (PeerStorageRetrieval(b"\xff"), "0009" + "0001ff"),
    ],
    ids=lambda part: part if isinstance(part, str) else type(part).__name__,
)
def test_messages_are_written_to_the_byte(message: Init | ErrorMessage | Ping | Pong, written: str) -> None:
    assert message.encode().hex() == written
    assert type(message).decode(bytes.fromhex(written)) == message
    assert message_type(message.encode()) == message.TYPE


def test_the_bounds_of_pings_are_those_of_bolt_1() -> None:
    assert MAX_ANSWERED_PONG_BYTES == 65_532
    assert len(Ping(0, bytes(MAX_PING_IGNORED_BYTES)).encode()) == 65_535


def test_the_ends_of_printable_ascii_are_shown_and_their_neighbours_not() -> None:
    assert ErrorMessage(ALL_CHANNELS, b" ~").text == " ~"
    for byte in (b"\x1f", b"\x7f"):
        assert ErrorMessage(ALL_CHANNELS, byte).text == byte.hex()


def test_a_message_of_another_type_is_not_mistaken() -> None:
    with pytest.raises(OutOfRange):
        Ping.decode(Pong().encode())
    for short in (b"", b"\x00"):
        with pytest.raises(Truncated):
            message_type(short)
    assert message_type(b"\x12\x34") == 0x1234


@pytest.mark.parametrize("row", TYPE_ROWS, ids=lambda row: row["name"])
def test_the_type_table_is_the_reference_table(row: dict[str, str]) -> None:
    info = MESSAGE_TYPES[int(row["type"])]
    assert (info.name, info.group, info.spec_ref) == (row["name"], row["group"], row["spec_ref"])
    assert info.cln_refused == (row["cln_sendcustommsg"] == "refused")
    assert name_of(info.type) == row["name"]


def test_the_type_table_has_nothing_more() -> None:
    assert len(MESSAGE_TYPES) == len(TYPE_ROWS)
    assert name_of(40_001) is None
    assert is_custom(32_768)
    assert not is_custom(32_767)


@pytest.mark.parametrize("row", FEATURE_ROWS, ids=lambda row: row["bits"])
def test_the_feature_table_is_the_reference_table(row: dict[str, str]) -> None:
    for bit in row["bits"].split("/"):
        assert features.feature_name(int(bit)) == row["name"]
    feature = features.FEATURES[int(row["bits"].split("/")[0]) & ~1]
    assert feature.assumed == row["status"].startswith("ASSUMED")
    assert list(feature.needs) == ([row["dependencies"]] if row["dependencies"] else [])
    assert feature.contexts == row["contexts"]


def test_leyden_offers_only_optional_bits() -> None:
    assert features.bits(features.LEYDEN_FEATURES) == [1, 9, 13, 15, 23, 45]
    assert features.LEYDEN_FEATURES.hex() == "20000080a202"


@pytest.mark.parametrize(
    ("theirs", "bit"),
    [((0, 8, 12, 14, 44), None), ((22,), None), ((1, 99), None), ((18,), 18), ((100,), 100), ((2026,), 2026)],
)
def test_an_even_bit_is_accepted_where_we_offer_the_pair_or_it_is_assumed(
    theirs: tuple[int, ...], bit: int | None
) -> None:
    assert features.unacceptable_bit(features.from_bits(theirs), features.LEYDEN_FEATURES) == bit


def test_dependencies_are_asked_for_unless_everyone_has_them() -> None:
    assert features.missing_dependency(features.from_bits([51])) == (50, 46)
    assert features.missing_dependency(features.from_bits([51, 47])) is None
    assert features.missing_dependency(features.from_bits([17])) is None  # payment_secret is ASSUMED


@pytest.mark.parametrize("theirs", [b"\xaa" * 65_000, b"\x80" + bytes(64_999)], ids=["every odd bit", "one far bit"])
def test_the_longest_feature_vector_is_judged_in_a_moment(theirs: bytes) -> None:
    """Any stranger can send one; bit by bit it took seconds of the loop."""

    def judge() -> None:
        assert features.unacceptable_bit(theirs, features.LEYDEN_FEATURES) is None
        features.missing_dependency(theirs)

    assert least_cpu_s(judge) < 0.2


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_combining_keeps_every_bit(first: bytes, second: bytes) -> None:
    both = features.combine(first, second)
    assert len(both) == max(len(first), len(second))
    assert set(features.bits(both)) == set(features.bits(first)) | set(features.bits(second))


@given(st.sets(st.integers(0, 300)))
def test_bits_go_round(set_bits: set[int]) -> None:
    assert set(features.bits(features.from_bits(set_bits))) == set_bits
