"""From an address to the script that it stands for, by the Bitcoin Development Kit."""

from __future__ import annotations

from core.bolt.networks import Network

_NETWORKS = {
    "bitcoin": "BITCOIN",
    "testnet": "TESTNET",
    "testnet4": "TESTNET4",
    "signet": "SIGNET",
    "regtest": "REGTEST",
}
"""Ours and the library's names."""
LONGEST_ADDRESS = 100
"""Characters; Bitcoin's have at most 90 (BIP 173)."""


def script_of(address: str, network: Network) -> bytes:
    """The script pubkey; ValueError when this is no address of `network`. For a thread: it may load the library."""
    if len(address) > LONGEST_ADDRESS:
        raise ValueError("too long for an address")
    import bdkpython  # 16 MB, and few ask

    try:
        script = bdkpython.Address(address, getattr(bdkpython.Network, _NETWORKS[network.name])).script_pubkey()
    except bdkpython.AddressParseError:
        raise ValueError(f"no address of {network.name}") from None
    return bytes(script.to_bytes())
