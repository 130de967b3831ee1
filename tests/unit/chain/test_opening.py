"""Which networks have a chain source."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core.base.events import EventBus
from core.bolt.networks import NETWORKS
from core.chain import kernel_engine
from core.chain.errors import ChainUnavailable, NoChainSource
from core.chain.opening import check_network, open_chain
from tests.support.clock import ManualClock


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - {"regtest"}))
async def test_a_network_without_a_source_is_named(name: str) -> None:
    with pytest.raises(NoChainSource) as caught:
        await open_chain(NETWORKS[name], None, EventBus(), ManualClock())
    assert caught.value.network == name


async def test_regtest_has_the_chain_that_the_kernel_validates(tmp_path: Path) -> None:
    chain = await open_chain(NETWORKS["regtest"], tmp_path / "regtest-chain", EventBus(), ManualClock())
    assert chain.description == "embedded regtest chain, validated by Bitcoin Core's kernel"
    assert [path.name for path in tmp_path.iterdir()] == ["chainstate"]
    await check_network(chain, NETWORKS["regtest"])
    await chain.aclose()


async def test_without_a_kernel_there_is_the_header_chain_which_says_what_it_does_not_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernel_engine, "_loaded", [])
    monkeypatch.setitem(sys.modules, "pbk", None)
    chain = await open_chain(NETWORKS["regtest"], None, EventBus(), ManualClock())
    assert chain.description == "embedded regtest chain: headers and proof of work are checked, scripts are not"
    assert chain.capabilities == frozenset()
    await check_network(chain, NETWORKS["regtest"])


async def test_a_source_that_follows_another_chain_is_found_out() -> None:
    chain = await open_chain(NETWORKS["regtest"], None, EventBus(), ManualClock())
    with pytest.raises(ChainUnavailable) as caught:
        await check_network(chain, NETWORKS["signet"])
    assert "another chain than signet" in caught.value.reason
    await chain.aclose()
    assert "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206" in caught.value.reason
