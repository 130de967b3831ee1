"""BOLT 8: the authenticated, encrypted transport as a state machine without I/O.

Feed it what the socket gave, write what it returns. The handshake is `Noise_XK_secp256k1_ChaChaPoly_SHA256`; after
act three each direction has its own key, rotated after 1,000 uses (500 messages, each a length and a body).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.bolt.keys import NodeKey, is_public_key
from core.bolt.wire import MAX_MESSAGE_BYTES, OutOfRange

_PROTOCOL_KEY = sha256(b"Noise_XK_secp256k1_ChaChaPoly_SHA256").digest()
_PROTOCOL_HASH = sha256(_PROTOCOL_KEY + b"lightning").digest()
"""BOLT 8, handshake state initialisation: every chaining key begins as the first, every hash as the second."""
_TAG_BYTES = 16
_ACT_ONE_BYTES = 1 + 33 + _TAG_BYTES
_ACT_TWO_BYTES = _ACT_ONE_BYTES
_ACT_THREE_BYTES = 1 + 33 + _TAG_BYTES + _TAG_BYTES
_HEADER_BYTES = 2 + _TAG_BYTES
SEALING_BYTES = _HEADER_BYTES + _TAG_BYTES
"""By so much a sealed message is longer."""
_USES_OF_A_KEY = 1000
_NONCES = tuple(struct.pack("<4xQ", count) for count in range(_USES_OF_A_KEY))
"""BOLT 8: 32 zero bits, then the count as a little-endian 64-bit number; made once, since a key is used 1,000 times."""
_Nonces = tuple[tuple[bytes, bytes], ...]
_PAIRS: _Nonces = tuple(zip(_NONCES[::2], _NONCES[1::2], strict=True))
"""A message takes two, one for its length and one for its body; 1,000 is even, so a key never ends in between."""
_pack_length = struct.Struct(">H").pack
_VIEW_FROM_BYTES = 4096
"""From this length on working in place is cheaper than copying."""


class NoiseError(Exception):
    """The peer's bytes do not follow BOLT 8; the connection MUST be closed."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
        """BOLT 8's name for it, such as `ACT2_BAD_TAG`, `MESSAGE_BAD_TAG` past the handshake."""


def _hkdf(salt: bytes, key_material: bytes) -> tuple[bytes, bytes]:
    okm = HKDF(algorithm=SHA256(), length=64, salt=salt, info=b"").derive(key_material)
    return okm[:32], okm[32:]


def _shared(key: NodeKey, remote: bytes, failure: str) -> bytes:
    """The shared secret with a key that the peer sent (33 bytes: only a compressed point passes)."""
    try:
        return key.ecdh(remote)
    except ValueError:
        raise NoiseError(failure) from None


class _CipherState:
    """One direction after the handshake: one AEAD object for a key's life."""

    __slots__ = ("_chaining_key", "_key", "aead", "uses")

    def __init__(self, key: bytes, chaining_key: bytes) -> None:
        self._key = key
        self._chaining_key = chaining_key
        self.aead = ChaCha20Poly1305(key)
        self.uses = 0

    def rotate(self) -> ChaCha20Poly1305:
        """BOLT 8, key rotation: HKDF(ck, k) gives the next chaining key and key; the nonce starts at zero."""
        self._chaining_key, self._key = _hkdf(self._chaining_key, self._key)
        self.aead = ChaCha20Poly1305(self._key)
        self.uses = 0
        return self.aead


def _seal_short(sending: _CipherState, messages: Sequence[bytes], pairs: _Nonces) -> list[bytes | bytearray]:
    """Length and body apart: short pieces are joined more cheaply than they are written in place."""
    pieces: list[bytes | bytearray] = []
    add, encrypt = pieces.append, sending.aead.encrypt
    for message, (length_nonce, body_nonce) in zip(messages, pairs, strict=False):
        add(encrypt(length_nonce, _pack_length(len(message)), None))
        add(encrypt(body_nonce, message, None))
    return pieces


def _seal_long(sending: _CipherState, messages: Sequence[bytes], pairs: _Nonces) -> list[bytes | bytearray]:
    """Each message in one piece, its body encrypted in place."""
    pieces: list[bytes | bytearray] = []
    for message, (length_nonce, body_nonce) in zip(messages, pairs, strict=False):
        sealed = bytearray(SEALING_BYTES + len(message))
        sealed[:_HEADER_BYTES] = sending.aead.encrypt(length_nonce, _pack_length(len(message)), None)
        sending.aead.encrypt_into(body_nonce, message, None, memoryview(sealed)[_HEADER_BYTES:])
        pieces.append(sealed)
    return pieces


class _SymmetricState:
    """The handshake's running hash and chaining key."""

    __slots__ = ("_key", "chaining_key", "digest")

    def __init__(self, responder_static: bytes) -> None:
        self.chaining_key = _PROTOCOL_KEY
        self.digest = _PROTOCOL_HASH
        self._key = b""
        self.mix_hash(responder_static)

    def mix_hash(self, data: bytes) -> None:
        self.digest = sha256(self.digest + data).digest()

    def mix_key(self, shared_secret: bytes) -> None:
        self.chaining_key, self._key = _hkdf(self.chaining_key, shared_secret)

    def encrypt(self, plaintext: bytes, nonce: int = 0) -> bytes:
        ciphertext = ChaCha20Poly1305(self._key).encrypt(_NONCES[nonce], plaintext, self.digest)
        self.mix_hash(ciphertext)
        return ciphertext

    def decrypt(self, ciphertext: bytes, failure: str, nonce: int = 0) -> bytes:
        try:
            plaintext = ChaCha20Poly1305(self._key).decrypt(_NONCES[nonce], ciphertext, self.digest)
        except InvalidTag:
            raise NoiseError(failure) from None
        self.mix_hash(ciphertext)
        return plaintext

    def split(self) -> tuple[_CipherState, _CipherState]:
        """The initiator's sending and receiving states; the responder swaps them."""
        first, second = _hkdf(self.chaining_key, b"")
        return _CipherState(first, self.chaining_key), _CipherState(second, self.chaining_key)


class NoiseConnection:
    """One connection, either side, from act one to its end."""

    __slots__ = (
        "_awaited_body",
        "_buffer",
        "_ephemeral",
        "_initiator",
        "_local",
        "_position",
        "_receiving",
        "_remote_ephemeral",
        "_sending",
        "_symmetric",
        "act",
        "handshake_complete",
        "remote_node_id",
    )

    act: int
    """How many acts have been sent or received: 0 to 3."""
    handshake_complete: bool
    remote_node_id: bytes | None
    """Known from the start to the initiator, after act three to the responder."""

    def __init__(self, local: NodeKey, remote_node_id: bytes | None, ephemeral: NodeKey | None) -> None:
        self._local = local
        self._ephemeral: NodeKey | None = ephemeral or NodeKey.generate()
        self._initiator = remote_node_id is not None
        self._symmetric: _SymmetricState | None = _SymmetricState(remote_node_id or local.node_id)
        self._remote_ephemeral = b""
        self._sending: _CipherState | None = None
        self._receiving: _CipherState | None = None
        self._buffer = bytearray()
        self._position = 0
        self._awaited_body: int | None = None
        self.act = 0
        self.handshake_complete = False
        self.remote_node_id = remote_node_id

    @classmethod
    def initiator(cls, local: NodeKey, remote_node_id: bytes, ephemeral: NodeKey | None = None) -> NoiseConnection:
        """The dialling side. ValueError when `remote_node_id` is not a point; `ephemeral` is for test vectors."""
        if not is_public_key(remote_node_id):
            raise ValueError("the remote node id is not a public key")
        return cls(local, remote_node_id, ephemeral)

    @classmethod
    def responder(cls, local: NodeKey, ephemeral: NodeKey | None = None) -> NoiseConnection:
        """The listening side."""
        return cls(local, None, ephemeral)

    def __repr__(self) -> str:
        side = "initiator" if self._initiator else "responder"
        return f"NoiseConnection({side}, act={self.act})"

    def start(self) -> bytes:
        """Act one for the initiator, nothing for the responder."""
        if not self._initiator:
            return b""
        symmetric, ephemeral = self._handshake()
        assert self.remote_node_id is not None
        symmetric.mix_hash(ephemeral.node_id)
        symmetric.mix_key(ephemeral.ecdh(self.remote_node_id))
        self.act = 1
        return b"\x00" + ephemeral.node_id + symmetric.encrypt(b"")

    def feed(self, data: bytes | bytearray | memoryview) -> bytes:
        """Take bytes in; returns what the handshake answers (often nothing). Messages wait for `next_message`.

        NoiseError when an act is wrong: close at once, nothing is sent (BOLT 8).
        """
        if self._position:
            del self._buffer[: self._position]  # moves no byte: the array only begins later
            self._position = 0
        self._buffer += data
        if self.handshake_complete:
            return b""
        if self._initiator:
            return self._feed_act_two()
        return self._feed_act_one() + self._feed_act_three()

    def eof(self) -> None:
        """The peer closed: NoiseError `ACTn_READ_FAILED` when an act was still awaited."""
        if not self.handshake_complete:
            awaited = 2 if self._initiator else 1 if self.act == 0 else 3
            raise NoiseError(f"ACT{awaited}_READ_FAILED")

    @property
    def buffered(self) -> int:
        """Bytes taken in and not yet consumed."""
        return len(self._buffer) - self._position

    @property
    def has_message(self) -> bool:
        """Whether `next_message` could get further; at times it then only learns a length and returns None."""
        if not self.handshake_complete:
            return False
        awaited = self._awaited_body
        return self.buffered >= (_HEADER_BYTES if awaited is None else awaited)

    @property
    def under_way(self) -> int:
        """Sealed length of the message of which only the length is known; 0 when there is none such."""
        return self._awaited_body or 0

    @property
    def missing(self) -> int:
        """Bytes still to come of the message whose length is known; 0 when there is none such."""
        awaited = self._awaited_body
        return 0 if awaited is None else max(0, awaited - self.buffered)

    def open_some(self, most: int) -> list[bytes]:
        """Decrypt up to `most` messages (type and payload), as many as are all here.

        NoiseError when a tag is wrong: close at once. Messages that were whole before it are given first.
        """
        receiving = self._receiving
        if receiving is None:
            return []
        opened = [] if self._awaited_body is None else self._open_body(receiving)
        if self._awaited_body is not None:
            return opened
        if receiving.uses == _USES_OF_A_KEY:
            receiving.rotate()
        # Written out, since each step counts: this runs for every message of every peer.
        buffer, decrypt, uses, earlier = self._buffer, receiving.aead.decrypt, receiving.uses, len(opened)
        position, end, add = self._position, len(self._buffer), opened.append
        try:
            for length_nonce, body_nonce in _PAIRS[uses // 2 : uses // 2 + most - earlier]:
                body = position + _HEADER_BYTES
                if body > end:
                    break
                header = decrypt(length_nonce, buffer[position:body], None)
                after = body + (header[0] << 8 | header[1]) + _TAG_BYTES
                if after > end:
                    self._awaited_body, position, uses = after - body, body, uses + 1
                    break
                if after - body < _VIEW_FROM_BYTES:
                    add(decrypt(body_nonce, buffer[body:after], None))
                else:
                    add(decrypt(body_nonce, memoryview(buffer)[body:after], None))
                position = after
        except InvalidTag:
            if not opened:
                raise NoiseError("MESSAGE_BAD_TAG") from None
        receiving.uses = uses + 2 * (len(opened) - earlier)
        self._consume(position)
        return opened

    def next_message(self) -> bytes | None:
        """The next one alone, or None when it is not all here."""
        opened = self.open_some(1)
        return opened[0] if opened else None

    def seal(self, message: bytes) -> bytes:
        """Length and body of one message (at most 65,535 bytes), encrypted, as one piece to write."""
        return b"".join(self.seal_all((message,)))

    def seal_all(self, messages: Sequence[bytes]) -> list[bytes | bytearray]:
        """Several messages at once, as pieces to write one after the other. OutOfRange seals none of them."""
        sending = self._sending
        if sending is None:
            raise RuntimeError("no message before the handshake is complete")
        longest = max(map(len, messages), default=0)
        if longest > MAX_MESSAGE_BYTES:
            raise OutOfRange(f"a message has at most {MAX_MESSAGE_BYTES} bytes, not {longest}")
        pieces: list[bytes | bytearray] = []
        done = 0
        while done < len(messages):
            if sending.uses == _USES_OF_A_KEY:
                sending.rotate()
            pairs = _PAIRS[sending.uses // 2 :]
            batch = messages[done : done + len(pairs)]
            pieces += (
                _seal_short(sending, batch, pairs) if longest < _VIEW_FROM_BYTES else _seal_long(sending, batch, pairs)
            )
            sending.uses += 2 * len(batch)
            done += len(batch)
        return pieces

    def _open_body(self, receiving: _CipherState) -> list[bytes]:
        """The message whose length is known, once it is all here."""
        awaited, position = self._awaited_body, self._position
        assert awaited is not None
        if self.buffered < awaited:
            return []
        try:
            message = receiving.aead.decrypt(
                _NONCES[receiving.uses], memoryview(self._buffer)[position : position + awaited], None
            )
        except InvalidTag:
            raise NoiseError("MESSAGE_BAD_TAG") from None
        receiving.uses += 1
        self._awaited_body = None
        self._consume(position + awaited)
        return [message]

    def _consume(self, position: int) -> None:
        """What stands before `position` was used."""
        if position == len(self._buffer):
            self._buffer.clear()
            position = 0
        self._position = position

    def _handshake(self) -> tuple[_SymmetricState, NodeKey]:
        assert self._symmetric is not None
        assert self._ephemeral is not None
        return self._symmetric, self._ephemeral

    def _take_act(self, length: int, number: int) -> bytes | None:
        """The act's bytes once they are all here; BOLT 8: an unknown version MUST abort, as soon as it is seen."""
        if self._buffer and self._buffer[0] != 0:
            raise NoiseError(f"ACT{number}_BAD_VERSION {self._buffer[0]}")
        if len(self._buffer) < length:
            return None
        act = bytes(self._buffer[:length])
        del self._buffer[:length]
        return act

    def _feed_act_one(self) -> bytes:
        if self.act != 0:
            return b""
        act = self._take_act(_ACT_ONE_BYTES, 1)
        if act is None:
            return b""
        symmetric, ephemeral = self._handshake()
        remote_ephemeral = act[1:34]
        symmetric.mix_hash(remote_ephemeral)
        symmetric.mix_key(_shared(self._local, remote_ephemeral, "ACT1_BAD_PUBKEY"))
        symmetric.decrypt(act[34:], "ACT1_BAD_TAG")
        self._remote_ephemeral = remote_ephemeral
        symmetric.mix_hash(ephemeral.node_id)
        symmetric.mix_key(ephemeral.ecdh(remote_ephemeral))
        self.act = 2
        return b"\x00" + ephemeral.node_id + symmetric.encrypt(b"")

    def _feed_act_two(self) -> bytes:
        act = self._take_act(_ACT_TWO_BYTES, 2)
        if act is None:
            return b""
        symmetric, ephemeral = self._handshake()
        remote_ephemeral = act[1:34]
        symmetric.mix_hash(remote_ephemeral)
        symmetric.mix_key(_shared(ephemeral, remote_ephemeral, "ACT2_BAD_PUBKEY"))
        symmetric.decrypt(act[34:], "ACT2_BAD_TAG")
        static = symmetric.encrypt(self._local.node_id, nonce=1)
        symmetric.mix_key(self._local.ecdh(remote_ephemeral))
        answer = b"\x00" + static + symmetric.encrypt(b"")
        self._sending, self._receiving = symmetric.split()
        self._finish()
        return answer

    def _feed_act_three(self) -> bytes:
        if self.act != 2:
            return b""
        act = self._take_act(_ACT_THREE_BYTES, 3)
        if act is None:
            return b""
        symmetric, ephemeral = self._handshake()
        remote_static = symmetric.decrypt(act[1:50], "ACT3_BAD_CIPHERTEXT", nonce=1)
        symmetric.mix_key(_shared(ephemeral, remote_static, "ACT3_BAD_PUBKEY"))
        symmetric.decrypt(act[50:], "ACT3_BAD_TAG")
        self.remote_node_id = remote_static
        self._receiving, self._sending = symmetric.split()
        self._finish()
        return b""

    def _finish(self) -> None:
        """BOLT 8: what the handshake used is forgotten."""
        self.act = 3
        self.handshake_complete = True
        self._symmetric = self._ephemeral = None
        self._remote_ephemeral = b""
