"""What this room needs of the node; `core.node.Node` fills it."""

from __future__ import annotations

from typing import Protocol

from core.activation.activator import Activator
from core.activation.manager import TaskManager
from core.activation.params import LightningParams
from core.rpc.face import NodeFace


class MmNode(NodeFace, Protocol):
    """What the methods ask of the node."""

    @property
    def tasks(self) -> TaskManager: ...

    @property
    def activator(self) -> Activator:
        """The coins, and what brings them up."""

    async def init_lightning(self, ticker: str, params: LightningParams) -> int:
        """Check in the contract's order, start the task, and give its number.

        Raises the errors of `core.activation.errors` about layer 2, its platform coin and the parameters.
        """
