"""The onion key: from the seed, one for each network, the same at every start."""

from __future__ import annotations

import pytest

from core.bolt.networks import NETWORKS
from core.bolt.onion_key import OnionKey
from core.wallet.derive import derive_onion_key
from core.wallet.memory import MemoryKeyStore
from core.wallet.node_key import open_node_key
from core.wallet.secret import Secret, SecretKind
from tests.unit.wallet.parts import REGTEST, MemoryMarker, PretendKeyring, abandon_secret
from tests.unit.wallet.test_node_key import keyring_store


def test_the_address_of_known_words_stays_what_it_is() -> None:
    assert derive_onion_key(abandon_secret(), REGTEST).host == (
        "ys2y5kubc4yyboeiivtixkyukhflqgwrftvfhea4gb6ugrvnd5zcsdid.onion"
    )


def test_each_network_and_each_seed_has_an_address_of_its_own() -> None:
    other = Secret(
        kind=SecretKind.BIP39,
        secret="legal winner thank year wave sausage worth useful legal winner thank yellow",
        created=0,
    )
    hosts = {
        derive_onion_key(secret, network).host for secret in (abandon_secret(), other) for network in NETWORKS.values()
    }
    assert len(hosts) == 2 * len(NETWORKS)


def test_only_words_have_one() -> None:
    with pytest.raises(ValueError, match="raw32"):
        derive_onion_key(Secret(kind=SecretKind.RAW32, secret="11" * 32, created=0), REGTEST)


async def test_it_is_derived_at_the_first_start_and_the_same_at_each_further_one() -> None:
    keyring, marker = PretendKeyring(), MemoryMarker()
    made: list[OnionKey] = []
    for created in (True, False):
        async with keyring_store(keyring) as store:
            _, was_created = await open_node_key(
                store, marker, REGTEST, derive_more=lambda secret: made.append(derive_onion_key(secret, REGTEST))
            )
            assert was_created is created
    assert len({key.host for key in made}) == 1
    await open_node_key(
        MemoryKeyStore(),
        MemoryMarker(),
        REGTEST,
        derive_more=lambda secret: made.append(derive_onion_key(secret, REGTEST)),
    )
    assert made[-1].host != made[0].host
