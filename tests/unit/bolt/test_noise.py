"""BOLT 8 against its own vectors, and what a connection does with bytes in any pieces."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.bolt.keys import NodeKey, is_public_key, short_id
from core.bolt.noise import NoiseConnection, NoiseError
from core.bolt.wire import OutOfRange
from tests.vectors import load_json

VECTORS = load_json("bolt8.json")
HANDSHAKES = [vector for vector in VECTORS if "handshake" in vector["name"] or " act" in vector["name"]]
MESSAGES = next(vector for vector in VECTORS if vector["name"] == "transport-message test")


def _connection(vector: dict[str, Any]) -> NoiseConnection:
    local = NodeKey(bytes.fromhex(vector["ls.priv"]))
    ephemeral = NodeKey(bytes.fromhex(vector["e.priv"]))
    if "rs.pub" in vector:
        return NoiseConnection.initiator(local, bytes.fromhex(vector["rs.pub"]), ephemeral)
    return NoiseConnection.responder(local, ephemeral)


def _play(vector: dict[str, Any], *, piece_bytes: int = 1000) -> NoiseConnection:
    connection = _connection(vector)
    written = connection.start()
    for kind, value in vector["steps"]:
        if kind == "output":
            assert written.hex() == value
            written = b""
        elif kind == "input":
            data = bytes.fromhex(value)
            for at in range(0, len(data), piece_bytes):
                written += connection.feed(data[at : at + piece_bytes])
        else:
            connection.eof()
    assert written == b""
    return connection


@pytest.mark.parametrize("piece_bytes", [1, 7, 1000])
@pytest.mark.parametrize("vector", HANDSHAKES, ids=lambda vector: vector["name"])
def test_handshakes_go_as_the_specification_says(vector: dict[str, Any], piece_bytes: int) -> None:
    expected_error = next((value for kind, value in vector["steps"] if kind == "error"), None)
    if expected_error is None:
        connection = _play(vector, piece_bytes=piece_bytes)
        assert connection.handshake_complete
        assert connection.act == 3
    else:
        with pytest.raises(NoiseError) as caught:
            _play(vector, piece_bytes=piece_bytes)
        assert caught.value.code.startswith(expected_error)


def test_the_responder_learns_who_called() -> None:
    vector = next(vector for vector in HANDSHAKES if vector["name"] == "transport-responder successful handshake")
    initiator = next(vector for vector in HANDSHAKES if vector["name"] == "transport-initiator successful handshake")
    remote = _play(vector).remote_node_id
    assert remote is not None
    assert remote.hex() == initiator["ls.pub"]


def test_messages_are_sealed_as_the_specification_says_through_two_rotations() -> None:
    vector = next(vector for vector in HANDSHAKES if vector["name"] == "transport-initiator successful handshake")
    connection = _play(vector)
    sealed = {number: connection.seal(b"hello").hex() for number in range(1002)}
    outputs = {int(number): value for number, value in dict(MESSAGES["outputs"]).items()}
    assert sorted(outputs) == [0, 1, 500, 501, 1000, 1001]
    assert {number: sealed[number] for number in outputs} == outputs


def _pair() -> tuple[NoiseConnection, NoiseConnection]:
    server_key = NodeKey.generate()
    client = NoiseConnection.initiator(NodeKey.generate(), server_key.node_id)
    server = NoiseConnection.responder(server_key)
    server.feed(client.feed(server.feed(client.start())))
    assert client.handshake_complete
    assert server.handshake_complete
    return client, server


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=20), st.integers(1, 400))
def test_messages_arrive_whole_and_in_order_whatever_the_pieces(messages: list[bytes], piece_bytes: int) -> None:
    client, server = _pair()
    stream = b"".join(client.seal(message) for message in messages)
    received = []
    for at in range(0, len(stream), piece_bytes):
        server.feed(memoryview(stream)[at : at + piece_bytes])
        while (message := server.next_message()) is not None:
            received.append(message)
    assert received == messages
    assert server.buffered == 0
    assert not server.has_message


def test_both_directions_rotate_on_their_own() -> None:
    client, server = _pair()
    for number in range(1700):
        server.feed(client.seal(b"%d" % number))
        assert server.next_message() == b"%d" % number
        if number % 3 == 0:
            client.feed(server.seal(b"-%d" % number))
            assert client.next_message() == b"-%d" % number


def test_the_longest_message_goes_through_and_one_byte_more_does_not() -> None:
    client, server = _pair()
    server.feed(client.seal(bytes(65_535)))
    assert server.next_message() == bytes(65_535)
    with pytest.raises(OutOfRange):
        client.seal(bytes(65_536))


def test_has_message_waits_for_a_whole_header_then_a_whole_body() -> None:
    client, server = _pair()
    sealed = client.seal(b"hello")
    server.feed(sealed[:17])
    assert not server.has_message
    server.feed(sealed[17:18])
    assert server.has_message
    assert server.next_message() is None  # only the length so far
    assert not server.has_message
    server.feed(sealed[18:])
    assert server.has_message
    assert server.next_message() == b"hello"


def test_what_is_buffered_and_missing_is_counted_from_the_first_unread_byte() -> None:
    client, server = _pair()
    first, second = client.seal(b"first"), client.seal(bytes(1000))
    server.feed(first + second[:100])
    assert server.buffered == len(first) + 100
    assert server.missing == 0  # no length is known yet
    assert server.next_message() == b"first"
    assert server.buffered == 100
    assert server.next_message() is None
    assert server.missing == len(second) - 100
    assert not server.has_message
    server.feed(second[100:])
    assert server.missing == 0
    assert server.next_message() == bytes(1000)


@pytest.mark.parametrize("position", [0, 17, 18, 38])
def test_one_flipped_bit_ends_the_connection(position: int) -> None:
    client, server = _pair()
    sealed = bytearray(client.seal(b"hello"))
    sealed[position] ^= 1
    server.feed(sealed)
    with pytest.raises(NoiseError, match="MESSAGE_BAD_TAG"):
        server.next_message()


def test_a_message_to_somebody_else_fails_in_act_one() -> None:
    client = NoiseConnection.initiator(NodeKey.generate(), NodeKey.generate().node_id)
    server = NoiseConnection.responder(NodeKey.generate())
    with pytest.raises(NoiseError, match="ACT1_BAD_TAG"):
        server.feed(client.start())


def test_nothing_is_sealed_before_the_handshake() -> None:
    with pytest.raises(RuntimeError):
        NoiseConnection.responder(NodeKey.generate()).seal(b"hello")


def test_a_node_id_that_is_no_point_cannot_be_dialled() -> None:
    with pytest.raises(ValueError, match="not a public key"):
        NoiseConnection.initiator(NodeKey.generate(), b"\x02" + bytes(32))


def test_messages_that_follow_act_three_in_one_read_are_kept() -> None:
    server_key = NodeKey.generate()
    client = NoiseConnection.initiator(NodeKey.generate(), server_key.node_id)
    server = NoiseConnection.responder(server_key)
    act_three = client.feed(server.feed(client.start()))
    server.feed(act_three + client.seal(b"early"))
    assert server.next_message() == b"early"


@given(st.binary(max_size=200))
def test_random_bytes_never_raise_anything_but_a_noise_error(data: bytes) -> None:
    server = NoiseConnection.responder(NodeKey(b"\x21" * 32), NodeKey(b"\x22" * 32))
    try:
        server.feed(data)
    except NoiseError:
        pass
    else:
        assert not server.handshake_complete


def test_an_id_is_shortened_to_six_digits_at_each_end() -> None:
    assert short_id(bytes(range(33))) == "000102…1e1f20"


def test_no_secret_shows_in_a_repr_or_a_pickle() -> None:
    secret = bytes(range(1, 33))
    key = NodeKey(secret)
    client = NoiseConnection.initiator(key, NodeKey.generate().node_id)
    client.start()
    assert secret.hex() not in repr(key) + repr(client)
    assert repr(key) == f"NodeKey({short_id(key.node_id)})"
    for value in (key, client):
        with pytest.raises(TypeError):
            pickle.dumps(value)


def test_the_handshakes_secrets_are_dropped_with_it() -> None:
    client, _ = _pair()
    held = [getattr(client, name) for name in ("_symmetric", "_ephemeral")]
    assert held == [None, None]


def test_public_keys_are_points_of_the_curve() -> None:
    assert is_public_key(NodeKey.generate().node_id)
    assert not is_public_key(b"\x02" + b"\xff" * 32)
    assert not is_public_key(b"\x04" + bytes(32))
    assert not is_public_key(b"")


def test_messages_that_were_whole_before_a_broken_one_are_given_first() -> None:
    client, server = _pair()
    good = client.seal(b"one") + client.seal(b"two")
    broken = bytearray(client.seal(b"three"))
    broken[-1] ^= 1
    server.feed(good + broken)
    assert server.open_some(10) == [b"one", b"two"]
    with pytest.raises(NoiseError, match="MESSAGE_BAD_TAG"):
        server.open_some(10)
