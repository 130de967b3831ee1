"""`trustcertificate`: Leyden's own, about the certificates of Electrum servers."""

from __future__ import annotations

from core.chain.electrum_protocol import parse_place
from core.rpc.commands.base import Command, Context, Json
from core.rpc.params import BadParam, Param, Scope
from core.rpc.tokens import Token


def _server(token: Token, _scope: Scope) -> str:
    try:
        parse_place(token.text)
    except ValueError:
        raise BadParam("should be a server such as electrum.example.org:50002") from None
    return token.text


async def _trustcertificate(context: Context, *, server: str) -> Json:
    return {"forgotten": await context.node.trust_certificate(server)}


TRUSTCERTIFICATE = Command(
    "trustcertificate",
    "utility",
    "Leyden's own: forget the certificate that was remembered of the Electrum {server}, so that the one it shows at "
    "the next connection is taken as at its first use. forgotten is false when none was remembered",
    _trustcertificate,
    (Param("server", _server),),
    before_active=True,
)
