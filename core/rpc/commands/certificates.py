"""`trustcertificate`: Leyden's own, about the certificates of Electrum servers."""

from __future__ import annotations

from core.chain.electrum_protocol import parse_place
from core.rpc.commands.base import Command, Context, Json
from core.rpc.params import BadParam, Param, Scope, optional
from core.rpc.tokens import Token


def _server(token: Token, _scope: Scope) -> str:
    try:
        parse_place(token.text)
    except ValueError:
        raise BadParam("should be a server such as electrum.example.org:50002") from None
    return token.text


def _fingerprint(token: Token, _scope: Scope) -> bytes:
    if len(token.text) != 64 or not all(letter in "0123456789abcdefABCDEF" for letter in token.text):
        raise BadParam("should be the SHA-256 of a certificate in hex")
    return bytes.fromhex(token.text)


async def _trustcertificate(context: Context, *, server: str, fingerprint: bytes | None = None) -> Json:
    return {"forgotten": await context.node.trust_certificate(server, fingerprint)}


TRUSTCERTIFICATE = Command(
    "trustcertificate",
    "utility",
    "Leyden's own: trust the certificate with this SHA-256 {fingerprint} of the Electrum {server} in place of the one "
    "that was remembered; without it the one that the server shows next. forgotten is false when none was remembered",
    _trustcertificate,
    (Param("server", _server), optional("fingerprint", _fingerprint)),
    before_active=True,
)
