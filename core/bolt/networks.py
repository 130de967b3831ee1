"""The chains Leyden knows: genesis hash, default port and coin type.

Ports are Core Lightning's (bitcoin/chainparams.c); hashes stand in wire order, as `init` carries them (BOLT 1).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Network:
    """One chain."""

    name: str
    """As in `--network` and in CLN's `getinfo`."""
    chain_hash: bytes
    """Genesis block hash, 32 bytes in wire order."""
    default_port: int
    coin_type: int
    """BIP 44 coin type: 0 for bitcoin, 1 for every test chain."""
    bech32_prefix: str


def _chain_hash(block_hash_hex: str) -> bytes:
    """Turn a block hash as explorers print it into wire order."""
    return bytes.fromhex(block_hash_hex)[::-1]


NETWORKS: dict[str, Network] = {
    network.name: network
    for network in (
        Network(
            "bitcoin", _chain_hash("000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"), 9735, 0, "bc"
        ),
        Network(
            "testnet", _chain_hash("000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943"), 19735, 1, "tb"
        ),
        Network(
            "testnet4", _chain_hash("00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043"), 49735, 1, "tb"
        ),
        Network(
            "signet", _chain_hash("00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6"), 39735, 1, "tb"
        ),
        Network(
            "regtest", _chain_hash("0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"), 19846, 1, "bcrt"
        ),
    )
}
