"""Real Lightning peers, and a real RPC client, as child processes that the tests drive from outside."""

from tests.counterparts.electrum import Electrum
from tests.counterparts.ldk import Ldk
from tests.counterparts.process import CommandFailed, Counterpart, CounterpartDied, CounterpartMissing, Event
from tests.counterparts.pyln_drivers import PylnClient, PylnPeer, RpcFailed

__all__ = [
    "CommandFailed",
    "Counterpart",
    "CounterpartDied",
    "CounterpartMissing",
    "Electrum",
    "Event",
    "Ldk",
    "PylnClient",
    "PylnPeer",
    "RpcFailed",
]
