"""`--keystore`: what was asked for, or an error."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from core.base.errors import LeydenError
from core.base.paths import ProfilePaths
from core.bolt.networks import NETWORKS
from core.wallet import errors
from core.wallet.choice import choose_keystore
from core.wallet.errors import MemoryKeyRefused
from core.wallet.keystore import KeyStoreKind


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("kind", KeyStoreKind)
@pytest.mark.parametrize("ephemeral", [False, True])
def test_each_kind_is_what_it_says_and_nothing_is_touched(
    kind: KeyStoreKind, network: str, ephemeral: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    paths = ProfilePaths(tmp_path, network)
    if kind == "memory" and network == "bitcoin" and not ephemeral:
        with pytest.raises(MemoryKeyRefused) as caught:
            choose_keystore(kind.value, paths, NETWORKS[network], ephemeral=ephemeral)
        assert caught.value.network == "bitcoin"
        return
    store = choose_keystore(kind.value, paths, NETWORKS[network], ephemeral=ephemeral)
    assert store.kind is kind
    assert store.keeps is (kind != "memory")
    assert list(tmp_path.iterdir()) == []
    expected = {
        "keyring": "the system's keyring",
        "file": str(tmp_path / network / "node-key.json"),
        "memory": "memory",
    }
    assert store.where == expected[kind]


def test_a_kind_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="plaintext"):
        choose_keystore("plaintext", ProfilePaths(tmp_path, "regtest"), NETWORKS["regtest"])


def test_every_error_keeps_its_facts_and_takes_them_by_name_alone() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LeydenError)]
    for kind in kinds:
        if kind is LeydenError:
            continue
        names = [name for name in inspect.signature(kind).parameters if name != "facts"]  # LeydenError's own
        facts = {
            name: b"\2" * 33 if name in ("node_id", "found", "expected", "offered") else f"a {name}" for name in names
        }
        if kind is errors.NoUsableKeyring:
            facts["found"] = "a found"
        error = kind(**facts)
        assert {name: getattr(error, name) for name in names} == facts
        assert list(error.facts) == names
        with pytest.raises(TypeError):
            kind(*(facts.values() or ["by place"]))
