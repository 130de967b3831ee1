"""What a worker says of signatures, and how it lives."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from coincurve import PrivateKey

from core.bolt.gossip import ChannelAnnouncement, SignedPart
from core.gossip import verifier
from core.gossip.verification import WORKER_FLAG, worker_command
from core.gossip.verify_frames import SignedBy, Verdict, answer, frames, read_verdicts
from tests.support.announcements import compact_signature
from tests.support.network import make_network

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEY = PrivateKey(b"\x07" * 32)
DIGEST = b"\x01" * 32
SIGNATURE = compact_signature(DIGEST, KEY)
NETWORK = make_network(seed=3, channels=12)


def _part(signature: bytes = SIGNATURE, key: bytes | None = None, digest: bytes = DIGEST) -> SignedPart:
    return SignedPart(digest, ((signature, KEY.public_key.format() if key is None else key),))


def _verdicts(*records: bytes | SignedBy | SignedPart) -> list[Verdict]:
    [(count, frame)] = frames(records)
    sink = io.BytesIO()
    verifier.serve(io.BytesIO(frame), sink)
    said = sink.getvalue()
    assert said.startswith(answer([])), "ready comes first"
    assert len(said) == 4 + count
    return read_verdicts(said[4:])


def _flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes((data[position] ^ 1,)) + data[position + 1 :]


def test_a_genuine_network_is_valid() -> None:
    updates = [SignedBy(*pair) for pair in zip(NETWORK.channel_updates, NETWORK.signers, strict=True)]
    verdicts = _verdicts(*NETWORK.channel_announcements, *updates, *NETWORK.node_announcements)
    assert set(verdicts) == {Verdict.VALID}


def test_every_one_of_the_four_signatures_counts() -> None:
    message = NETWORK.channel_announcements[0]
    forged = [_flipped(message, 2 + 64 * number + 40) for number in range(4)]
    assert _verdicts(message, *forged) == [Verdict.VALID, *[Verdict.WRONG_SIGNATURE] * 4]


def test_what_is_signed_may_not_change_by_a_bit() -> None:
    message = NETWORK.channel_announcements[0]
    bitcoin_key_2 = len(message) - 33
    scid = bitcoin_key_2 - 3 * 33 - 8
    assert (
        ChannelAnnouncement.decode(_flipped(message, scid)).node_id_1 == ChannelAnnouncement.decode(message).node_id_1
    )
    assert _verdicts(_flipped(message, scid), message + b"\0") == [Verdict.WRONG_SIGNATURE] * 2
    assert not _verdicts(_flipped(message, bitcoin_key_2 + 5))[0]


def test_an_update_is_refused_for_the_other_end() -> None:
    update = NETWORK.channel_updates[0]
    assert _verdicts(SignedBy(update, NETWORK.signers[0]), SignedBy(update, NETWORK.signers[1])) == [
        Verdict.VALID,
        Verdict.WRONG_SIGNATURE,
    ]


@pytest.mark.parametrize("key", [b"\x02" + b"\xff" * 32, bytes(33), b"\x04" + b"\x11" * 32, b"\x02" + bytes(32)])
def test_a_key_off_the_curve_is_told_apart(key: bytes) -> None:
    assert _verdicts(_part(key=key), _part()) == [Verdict.BAD_KEY, Verdict.VALID]


@pytest.mark.parametrize(
    "signature",
    [
        bytes(64),
        b"\xff" * 64,
        SIGNATURE[:32] + bytes(32),
        bytes(32) + SIGNATURE[32:],
        SIGNATURE[32:] + SIGNATURE[:32],
        ORDER.to_bytes(32, "big") + SIGNATURE[32:],
        SIGNATURE[:32] + (ORDER - int.from_bytes(SIGNATURE[32:], "big")).to_bytes(32, "big"),
    ],
    ids=["zero", "beyond the order", "s zero", "r zero", "swapped", "r is the order", "high s"],
)
def test_a_wrong_signature_is_wrong_and_ends_nothing(signature: bytes) -> None:
    assert _verdicts(_part(signature), _part()) == [Verdict.WRONG_SIGNATURE, Verdict.VALID]


def test_short_numbers_in_a_signature_are_read_right() -> None:
    """One in 256 begins with a zero."""
    shortest = 32
    for number in range(600):
        digest = number.to_bytes(32, "big")
        signature = compact_signature(digest, KEY)
        shortest = min(shortest, *(len(half.lstrip(b"\0")) for half in (signature[:32], signature[32:])))
        assert verifier.judge(_part(signature, digest=digest)) is Verdict.VALID
        assert verifier.judge(_part(signature, digest=bytes([1]) + digest[1:])) is Verdict.WRONG_SIGNATURE
    assert shortest < 32


def test_a_frame_cut_short_is_not_answered() -> None:
    [(_, frame)] = frames([_part()])
    for end in (0, 3, len(frame) - 1):
        sink = io.BytesIO()
        verifier.serve(io.BytesIO(frame[:end]), sink)
        assert sink.getvalue() == answer([])


@pytest.mark.parametrize("command", [worker_command(), [sys.executable, "-P", "-m", "gui.main", WORKER_FLAG]])
def test_it_answers_and_ends_with_its_input(command: list[str]) -> None:
    [(_, frame)] = frames([_part(), _part(bytes(64))])
    ended = subprocess.run(command, input=frame + frame, capture_output=True, timeout=30, check=False)
    one = answer([Verdict.VALID, Verdict.WRONG_SIGNATURE])
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, answer([]) + one + one, b"")


def test_it_loads_neither_window_nor_loop_nor_options() -> None:
    script = (
        "import sys; sys.argv = ['leyden', sys.argv[1]]; import gui.main; gui.main.main(); "
        "unwanted = {'PySide6', 'asyncio', 'argparse', 'numpy', 'core.base', 'core.peers'}; "
        "print(*unwanted & {*sys.modules}, file=sys.stderr)"
    )
    command = [sys.executable, "-c", script, WORKER_FLAG]
    ended = subprocess.run(command, input=b"", capture_output=True, timeout=30, check=False)
    assert ended.stderr.split() == []
