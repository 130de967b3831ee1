"""No record is verified twice."""

from __future__ import annotations

from core.gossip.limits import SEEN_A_GENERATION, SEEN_GENERATIONS
from core.gossip.seen import Seen


def test_a_record_is_new_once() -> None:
    seen = Seen()
    assert seen.add(b"one")
    assert not seen.add(b"one")
    assert seen.add(b"ome")


def test_what_could_not_be_judged_may_come_again() -> None:
    seen = Seen(generations=3, size=2)
    for message in (b"a", b"b", b"c"):
        seen.add(message)
    seen.forget(b"a")
    seen.forget(b"never there")
    assert seen.add(b"a")
    assert not seen.add(b"b")


def test_the_oldest_leave_first_and_the_bound_holds() -> None:
    seen = Seen(generations=3, size=10)
    messages = [str(number).encode() for number in range(1_000)]
    for number, message in enumerate(messages):
        assert seen.add(message)
        assert len(seen) <= 30
        assert not any(seen.add(late) for late in messages[max(0, number - 19) : number + 1])
    assert seen.add(messages[0])


def test_the_whole_network_fits() -> None:
    assert (SEEN_GENERATIONS - 1) * SEEN_A_GENERATION > 50_000 + 100_000 + 17_000


def test_asking_remembers_nothing() -> None:
    seen = Seen(generations=3, size=2)
    assert seen.is_new(b"one")
    assert seen.is_new(b"one")
    for message in (b"one", b"two", b"three"):
        seen.add(message)
    assert not any(seen.is_new(message) for message in (b"one", b"two", b"three"))
    assert seen.is_new(b"four")
