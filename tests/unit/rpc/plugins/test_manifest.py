"""core.rpc.plugins.manifest: what a plugin says of itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.rpc.plugins.manifest import BadManifest, Method, read_manifest


def test_a_manifest_as_pyln_writes_it_is_read() -> None:
    manifest = read_manifest(
        {
            "options": [{"name": "a", "default": 3, "type": "int"}, {"name": "b", "type": "flag"}],
            "rpcmethods": [{"name": "greet", "usage": "name [times]", "description": "says hello"}],
            "subscriptions": ["connect"],
            "hooks": [{"name": "custommsg", "before": [], "after": [], "filters": [1001]}, "peer_connected"],
            "custommessages": [43690],
            "dynamic": True,
            "notifications": [],
            "featurebits": {},
        }
    )
    assert manifest.methods == (Method("greet", "name [times]", "says hello"),)
    assert manifest.options == {"a": 3}
    assert manifest.hooks == {"custommsg": frozenset({1001}), "peer_connected": None}
    assert (manifest.hooks_custom(1001), manifest.hooks_custom(1003)) == (True, False)
    assert manifest.custom_messages == {43690}
    assert (manifest.subscribes("connect"), manifest.subscribes("disconnect")) == (True, False)


def test_a_plugin_may_say_little() -> None:
    manifest = read_manifest({})
    assert not manifest.methods
    assert not manifest.hooks_custom(1001)
    assert read_manifest({"hooks": ["custommsg"]}).hooks_custom(1001)
    assert read_manifest({"subscriptions": ["*"]}).subscribes("anything")
    assert read_manifest({"disable": "no wallet"}).disabled == "no wallet"


@pytest.mark.parametrize(
    "manifest",
    [
        None,
        [],
        {"rpcmethods": {}},
        {"rpcmethods": [{"usage": "x"}]},
        {"rpcmethods": [{"name": "two words"}]},
        {"rpcmethods": [{"name": "x", "usage": 3}]},
        {"hooks": [7]},
        {"hooks": [{"name": "custommsg", "filters": ["1001"]}]},
        {"hooks": [{"name": "custommsg", "filters": [65536]}]},
        {"custommessages": [True]},
        {"custommessages": [-2]},
        {"subscriptions": [None]},
        {"subscriptions": ["x"] * 1001},
        {"options": ["x"]},
        {"disable": 1},
    ],
)
def test_what_is_no_manifest_is_refused(manifest: Any) -> None:
    with pytest.raises(BadManifest):
        read_manifest(manifest)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_names = st.sampled_from(["rpcmethods", "hooks", "subscriptions", "custommessages", "options", "disable"])


@given(st.dictionaries(_names, _json))
def test_nothing_else_than_a_refusal_comes_of_any_manifest(manifest: dict[str, Any]) -> None:
    try:
        read_manifest(manifest)
    except BadManifest:
        return
