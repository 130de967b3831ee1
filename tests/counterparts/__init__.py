"""Real Lightning peers, a real RPC client and our own program, as child processes that tests drive from outside."""

from tests.counterparts.bcoin import Bcoin
from tests.counterparts.electrum import Electrum
from tests.counterparts.electrumx import ElectrumX
from tests.counterparts.ldk import Ldk
from tests.counterparts.leyden import Leyden
from tests.counterparts.process import CommandFailed, Counterpart, CounterpartDied, CounterpartMissing, Event
from tests.counterparts.pyln_drivers import PylnClient, PylnPeer, RpcFailed

__all__ = [
    "Bcoin",
    "CommandFailed",
    "Counterpart",
    "CounterpartDied",
    "CounterpartMissing",
    "Electrum",
    "ElectrumX",
    "Event",
    "Ldk",
    "Leyden",
    "PylnClient",
    "PylnPeer",
    "RpcFailed",
]
