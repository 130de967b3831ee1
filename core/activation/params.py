"""What a person or a program asks of one activation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LightningParams:
    """`LightningActivationParams` of `task::enable_lightning::init`, as read; what it may hold is checked at init."""

    name: str
    """The alias: at most 32 bytes."""
    listening_port: int = 9735
    """0 picks one."""
    color: str = "000000"
    """Six hex digits."""
    payment_retries: int = 5
    """Attempts."""
    backup_path: str | None = None
    """A folder where a second copy of what guards channels goes; None for no second copy."""


@dataclass(frozen=True, slots=True)
class LightningResult:
    """What the task gives when it is `Ok`; amounts are decimal numbers as text, in the coin's own decimals."""

    platform_coin: str
    address: str
    """The node id in hex."""
    spendable: str
    unspendable: str
