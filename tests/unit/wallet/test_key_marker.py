"""The text by which a profile remembers its key: round trip, and KeyDamaged for anything else."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from core.bolt.keys import NodeKey
from core.wallet.errors import KeyDamaged
from core.wallet.keystore import KeyMarker, KeyStoreKind, MarkerState

KIND, STATE = st.sampled_from(KeyStoreKind), st.sampled_from(MarkerState)
NODE_ID = NodeKey(bytes(31) + b"\1").node_id
ANY = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.none(), max_size=1)


def decoded(text: str) -> KeyMarker | None:
    try:
        return KeyMarker.decode(text)
    except KeyDamaged:
        return None


@given(KIND, STATE, st.integers(0, 2**40))
def test_a_marker_goes_round(keystore: KeyStoreKind, state: MarkerState, created: int) -> None:
    marker = KeyMarker(NODE_ID, keystore, created, state)
    assert KeyMarker.decode(marker.encode()) == marker


@given(st.text(max_size=80) | st.text('{}[]":, v1', max_size=80))
@example("[" * 50_000)
@example("9" * 5_000)
def test_any_text_is_a_marker_or_damaged(text: str) -> None:
    assert decoded(text) is None


@given(st.sampled_from(["v", "node_id", "keystore", "created", "state"]), ANY)
@example("created", float("inf"))
@example("created", float("nan"))
@example("node_id", "02" + "ff" * 32)
def test_any_field_with_any_value_is_understood_or_damaged(name: str, value: Any) -> None:
    fields = json.loads(KeyMarker(NODE_ID, KeyStoreKind.FILE, 1, MarkerState.KEPT).encode())
    found = decoded(json.dumps(fields | {name: value}))
    assert found is None or found.node_id == NODE_ID
