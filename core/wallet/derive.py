"""From a mnemonic to the node key. bdkpython is imported late: it is 16 MB, and only a starting node needs it."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.bolt.keys import NodeKey
from core.bolt.networks import Network
from core.bolt.onion_key import SEED_BYTES, OnionKey
from core.wallet.secret import WORD_COUNTS, Secret, SecretKind, SecretTextError


def new_mnemonic(words: int, created: int) -> Secret:
    """A fresh secret of 12 or 24 words from the system's randomness. Blocks for the import; run it in a `Worker`."""
    if words not in WORD_COUNTS:
        raise ValueError(f"a mnemonic has 12 or 24 words, not {words}")
    import bdkpython

    count = bdkpython.WordCount.WORDS12 if words == 12 else bdkpython.WordCount.WORDS24
    return Secret(kind=SecretKind.BIP39, secret=str(bdkpython.Mnemonic(count)), created=created)


def derive_node_key(secret: Secret, network: Network) -> NodeKey:
    """`m/1017'/coin'/6'/0/0` below the BIP 39 seed with an empty passphrase: LND's path, in use by many.

    SecretTextError when the words are no mnemonic; ValueError for a kind that is not `bip39`. Blocks for some
    milliseconds (2,048 rounds of PBKDF2), so run it in a `Worker`.
    """
    if secret.kind is not SecretKind.BIP39:
        raise ValueError(f"a node key is not derived from a secret of kind {secret.kind.value}")
    import bdkpython

    try:
        mnemonic = bdkpython.Mnemonic.from_string(secret.secret)
    except bdkpython.Bip39Error:
        mnemonic = None
    if mnemonic is None:  # raised here, so that no error of the library is chained to it
        raise SecretTextError("its words are not a valid mnemonic")
    kind = bdkpython.NetworkKind.MAIN if network.coin_type == 0 else bdkpython.NetworkKind.TEST
    root = bdkpython.DescriptorSecretKey(kind, mnemonic, None)
    path = bdkpython.DerivationPath(f"m/1017'/{network.coin_type}'/6'/0/0")
    return NodeKey(root.derive(path).secret_bytes())


def derive_onion_key(secret: Secret, network: Network) -> OnionKey:
    """HKDF-SHA256 of the BIP 39 seed, with a label that holds the network: the same address as long as the words last.

    For words that `derive_node_key` takes; ValueError for a kind that is not `bip39`. Run it in a `Worker`, as that.
    """
    if secret.kind is not SecretKind.BIP39:
        raise ValueError(f"an onion key is not derived from a secret of kind {secret.kind.value}")
    seed = hashlib.pbkdf2_hmac("sha512", secret.secret.encode(), b"mnemonic", 2048)
    label = f"leyden/onion-service/{network.name}".encode()
    return OnionKey(HKDF(algorithm=SHA256(), length=SEED_BYTES, salt=None, info=label).derive(seed))
