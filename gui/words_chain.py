"""Words for what goes wrong with the servers that the chain comes from; part of the table of `gui.words`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.chain import errors as chain
from gui.phrases import Remedy, Words, bounded, tr

_REMEDIES = (Remedy.RETRY, Remedy.OTHER_SOURCE, Remedy.COPY_DETAILS)
_LONGEST_SERVER = 270
_SHOWN_BYTES = 8


def _unreachable(error: chain.ServerUnreachable) -> Words:
    return Words(
        tr("No connection to the chain server"),
        tr("{reason}. See that its address is right and that it runs.", reason=_reason(error)),
        actions=_REMEDIES,
    )


def _stalled(error: chain.ServerStalled) -> Words:
    return Words(
        tr("The chain server does not answer"),
        tr(
            "{server} took a question and did not answer it within {seconds} s. It may be overloaded; another server "
            "may do better.",
            server=_server(error),
            seconds=f"{error.timeout_s:g}",
        ),
        actions=_REMEDIES,
    )


def _lied(error: chain.ServerLied) -> Words:
    return Words(
        tr("The chain server's answers do not hold"),
        tr("{reason}. Leyden does not use it. Choose another server.", reason=_reason(error)),
        actions=_REMEDIES,
    )


def _refused(error: chain.ServerRefused) -> Words:
    return Words(tr("The chain server refused"), tr("It said: {reason}", reason=_reason(error)), actions=_REMEDIES)


def _behind(error: chain.ServerBehind) -> Words:
    return Words(
        tr("The chain server is behind"),
        tr(
            "{server} knows {height} blocks, other servers know {best}. Wait until it has caught up, or choose "
            "another.",
            server=_server(error),
            height=error.height,
            best=error.best_height,
        ),
        actions=_REMEDIES,
    )


def _certificate(error: chain.CertificateChanged) -> Words:
    return Words(
        tr("The server's certificate has changed"),
        tr(
            "{server} showed certificate {found}…, and {expected}… when it was first used. Its operator may have "
            "renewed it, or somebody stands between. Leyden sent it nothing.",
            server=_server(error),
            found=error.found[:_SHOWN_BYTES].hex(),
            expected=error.expected[:_SHOWN_BYTES].hex(),
        ),
        actions=(Remedy.RETRY, Remedy.TRUST_CERTIFICATE, Remedy.OTHER_SOURCE, Remedy.COPY_DETAILS),
    )


def _password(error: chain.WrongPassword) -> Words:
    return Words(
        tr("Wrong password for Bitcoin Core"),
        tr(
            "{server} does not take this user and password. They stand in its bitcoin.conf or in its .cookie file.",
            server=_server(error),
        ),
        actions=_REMEDIES,
    )


def _wrong_chain(error: chain.WrongChain) -> Words:
    return Words(
        tr("The server follows another network"),
        tr(
            "{server} has the genesis block {genesis}, which is not this network's. Choose a server of this network.",
            server=_server(error),
            genesis=error.genesis[::-1].hex(),
        ),
        actions=_REMEDIES,
    )


def _all_failed(error: chain.AllServersFailed) -> Words:
    return Words(
        tr("No chain server can be used"),
        tr("See that this computer is online. What went wrong: {reason}", reason=_reason(error)),
        actions=_REMEDIES,
    )


def _faucet(error: chain.FaucetEmpty) -> Words:
    return Words(
        tr("The practice chain has too little to give"),
        tr(
            "It can pay {spendable} sat now, not {asked} sat. Mine more blocks: what one makes can be spent after 100 "
            "more.",
            spendable=error.spendable_sat,
            asked=error.asked_sat,
        ),
    )


def _no_practice(error: chain.NoPracticeChain) -> Words:
    if not error.source:
        return Words(tr("There is no practice chain yet"), tr("Start the node on regtest first."))
    return Words(
        tr("This is not the practice chain"),
        tr(
            "Blocks are made on the chain inside the profile alone. This node follows {source}.",
            source=bounded(error.source),
        ),
    )


def _server(error: chain.ServerFailed) -> str:
    return bounded(error.server, _LONGEST_SERVER)


def _reason(error: chain.ChainUnavailable) -> str:
    return bounded(error.reason)


CHAIN_WORDS: dict[type[BaseException], Callable[[Any], Words]] = {
    chain.ServerUnreachable: _unreachable,
    chain.ServerStalled: _stalled,
    chain.ServerLied: _lied,
    chain.ServerRefused: _refused,
    chain.ServerBehind: _behind,
    chain.CertificateChanged: _certificate,
    chain.WrongPassword: _password,
    chain.WrongChain: _wrong_chain,
    chain.AllServersFailed: _all_failed,
    chain.FaucetEmpty: _faucet,
    chain.NoPracticeChain: _no_practice,
}
