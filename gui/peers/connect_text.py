"""What a person typed into the connect field, as it is understood; pure, so that each keystroke can ask."""

from __future__ import annotations

from dataclasses import dataclass

from core.bolt.address import (
    AddressError,
    AddressKind,
    NodeIdError,
    is_dns_name,
    parse_literal,
    parse_node_id,
    split_host_port,
)
from gui.phrases import bounded, tr

NODE_ID_CHARACTERS = 66
_INVOICE_PREFIXES = ("lnbc", "lntb", "lnsb", "lno1", "lni1", "lnr1", "lightning:")


@dataclass(frozen=True, slots=True)
class Understood:
    """The parts that could be read, and what is wrong with the first that could not."""

    node_id: bytes | None = None
    host: str | None = None
    """Without brackets; None when none was given."""
    port: int | None = None
    """As typed; None when none was given."""
    kind: AddressKind | None = None
    """None while there is no host; DNS for a name that is looked up when dialling."""
    problem: str = ""
    """In words; empty when nothing is wrong."""
    unfinished: bool = False
    """What is wrong may be only that typing is not over."""

    @property
    def ready(self) -> bool:
        """Whether it can be dialled."""
        return self.node_id is not None and not self.problem


def understand(text: str, own_node_id: bytes) -> Understood:
    """Read `node-id@host:port`; host and port may be missing. Never guesses another peer than the one typed."""
    text = text.strip()
    if not text:
        return Understood()
    if text.lower().startswith(_INVOICE_PREFIXES):
        return Understood(problem=tr("This is an invoice or an offer, not the address of a node. Leyden pays nothing."))
    id_text, at, place = text.partition("@")
    try:
        node_id = parse_node_id(id_text)
    except NodeIdError as error:
        return Understood(
            problem=_id_problem(id_text, error.reason), unfinished=not at and len(id_text) < NODE_ID_CHARACTERS
        )
    if node_id == own_node_id:
        return Understood(node_id, problem=tr("That is your own node id."))
    if not at:
        return Understood(node_id)
    return _with_place(node_id, place)


def _id_problem(text: str, reason: str) -> str:
    if "." in text or ":" in text:
        return tr("The node id comes first: node-id@host:port.")
    return tr("Not a node id: {reason}.", reason=reason)


def _with_place(node_id: bytes, place: str) -> Understood:
    if not place:
        return Understood(node_id, problem=tr("The host is missing after the @."), unfinished=True)
    try:
        host, port = split_host_port(place)
        literal = parse_literal(host, port or 0)
    except AddressError as error:
        return Understood(
            node_id,
            problem=tr("Not an address: {reason}.", reason=bounded(error.reason, 80)),
            unfinished=place.startswith("[") and "]" not in place,
        )
    if literal is not None:
        return Understood(node_id, literal.host, port, literal.kind)
    if host.endswith(":"):
        return Understood(node_id, host[:-1], problem=tr("The port is missing after the colon."), unfinished=True)
    if not is_dns_name(host.removeprefix("dns:")):
        return Understood(node_id, problem=tr("{host} is not a host name or an IP address.", host=bounded(host, 80)))
    return Understood(node_id, host, port, AddressKind.DNS)
