"""What can be wrong with the chain that Lightning stands on."""

from __future__ import annotations

from pathlib import Path

from core.base.errors import LeydenError


class NoChainSource(LeydenError):
    """Leyden has no way yet to follow this network's chain."""

    def __init__(self, *, network: str) -> None:
        super().__init__(network=network)
        self.network = network


class ChainDamaged(LeydenError):
    """The embedded chain's file breaks a rule; it was left as it is."""

    def __init__(self, *, path: Path, height: int, reason: str) -> None:
        super().__init__(path=path, height=height, reason=reason)
        self.path = path
        self.height = height
        """Of the first block that cannot be used."""
        self.reason = reason


class ChainUnavailable(LeydenError):
    """The chain source does not answer, or what it answers cannot be used."""

    also_raised = True

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason=reason)
        self.reason = reason


class ServerFailed(ChainUnavailable):
    """One server of a chain source cannot be used; the subtypes say why."""

    def __init__(self, *, server: str, reason: str, **facts: object) -> None:
        super().__init__(reason=f"{server}: {reason}")
        self.facts = {"server": server, **facts}
        self.server = server
        """As the user named it: HOST:PORT."""


class ServerUnreachable(ServerFailed):
    """No connection comes about, or the one that was there broke."""

    def __init__(self, *, server: str, reason: str) -> None:
        super().__init__(server=server, reason=reason)
        self.facts["reason"] = reason


class ServerStalled(ServerFailed):
    """The server took a request and did not answer it in time."""

    def __init__(self, *, server: str, timeout_s: float) -> None:
        super().__init__(server=server, reason=f"no answer within {timeout_s:g} s", timeout_s=timeout_s)
        self.timeout_s = timeout_s


class ServerLied(ServerFailed):
    """What the server says breaks the protocol or the chain's rules, or contradicts what it said before."""

    def __init__(self, *, server: str, reason: str) -> None:
        super().__init__(server=server, reason=reason)
        self.facts["reason"] = reason


class ServerRefused(ServerFailed):
    """The server answers a request with an error of its own."""

    def __init__(self, *, server: str, reason: str, code: int = 0) -> None:
        super().__init__(server=server, reason=reason)
        self.facts["reason"] = reason
        self.said = reason
        self.code = code
        """As the server's own protocol numbers it; 0 where it does not."""


class ServerBehind(ServerFailed):
    """The server's chain is sound, and another server proves a longer one."""

    def __init__(self, *, server: str, height: int, best_height: int) -> None:
        reason = f"is at block {height}, others are at {best_height}"
        super().__init__(server=server, reason=reason, height=height, best_height=best_height)
        self.height = height
        self.best_height = best_height


class CertificateChanged(ServerFailed):
    """The server shows another certificate than the one that was remembered when it was first used."""

    def __init__(self, *, host: str, port: int, expected: bytes, found: bytes) -> None:
        reason = f"its certificate is {found.hex()}, it was {expected.hex()}"
        server = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        super().__init__(server=server, reason=reason, expected=expected.hex(), found=found.hex())
        self.host = host
        self.port = port
        self.expected = expected
        """SHA-256 of the certificate, as `found`."""
        self.found = found


class WrongPassword(ServerFailed):
    """The server does not take the user and password that it was given."""

    def __init__(self, *, server: str) -> None:
        super().__init__(server=server, reason="does not take this password")


class WrongChain(ServerFailed):
    """The server follows another network's chain."""

    def __init__(self, *, server: str, genesis: bytes) -> None:
        shown = genesis[::-1].hex()
        super().__init__(server=server, reason=f"follows another chain: genesis block {shown}", genesis=shown)
        self.genesis = genesis
        """Hash of its genesis block, 32 bytes in wire order."""


class AllServersFailed(ChainUnavailable):
    """Several servers are known and none can be used; `reason` lists them with why."""


class NoPracticeChain(LeydenError):
    """The chain that was to be mined on is not the one inside the profile, on Bitcoin Core's kernel."""

    def __init__(self, *, source: str) -> None:
        super().__init__(source=source)
        self.source = source
        """What the platform coin is followed with instead; empty while the coin is not active."""


class FaucetEmpty(LeydenError):
    """The practice chain has not mined enough that can be spent in the next block."""

    def __init__(self, *, asked_sat: int, spendable_sat: int) -> None:
        super().__init__(asked_sat=asked_sat, spendable_sat=spendable_sat)
        self.asked_sat = asked_sat
        self.spendable_sat = spendable_sat
