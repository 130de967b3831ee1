"""Node ids as BOLT 10 writes them."""

from __future__ import annotations

from core.bolt.bech32 import bech32_encode


def test_the_example_of_bolt_10() -> None:
    node_id = bytes.fromhex("03acb0e75237d7b086e4fd3c7cf4da4e25856ceff03bf1fb5da213b37ac5001327")
    expected = "ln1qwktpe6jxltmpphyl578eax6fcjc2m807qalr76a5gfmx7k9qqfjwy4mctz"
    assert bech32_encode("ln", node_id) == expected


def test_a_prefix_without_data() -> None:
    assert bech32_encode("a", b"") == "a12uel5l"  # BIP 173
