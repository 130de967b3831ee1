"""The statuses of an activation in words: the platform coin, and the eight."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

STATUSES = (
    "PlatformCoin",
    "ActivatingCoin",
    "GettingFeesFromRPC",
    "ReadingNetworkGraphFromFile",
    "InitializingChannelManager",
    "InitializingPeerManager",
    "ReadingScorerFromFile",
    "InitializingBackgroundProcessor",
    "ReadingChannelsAddressesFromFile",
)
"""The protocol's names in the order in which they run; the first is ours."""


def in_words(status: str) -> str:
    """What a status does; one that we do not know is shown by its own name."""
    translate = QCoreApplication.translate
    words = {
        "PlatformCoin": translate("Steps", "Opening the chain"),
        "ActivatingCoin": translate("Steps", "Checking the chain's tip"),
        "GettingFeesFromRPC": translate("Steps", "Asking for fee estimates"),
        "ReadingNetworkGraphFromFile": translate("Steps", "Reading the network graph"),
        "InitializingChannelManager": translate("Steps", "Checking channel records"),
        "InitializingPeerManager": translate("Steps", "Opening the listening port"),
        "ReadingScorerFromFile": translate("Steps", "Reading the path scores"),
        "InitializingBackgroundProcessor": translate("Steps", "Starting background services"),
        "ReadingChannelsAddressesFromFile": translate("Steps", "Reading saved peers"),
    }
    return words.get(status, status)


def duration_words(seconds: float) -> str:
    """A duration as short as it stays true: `< 1 ms`, `3 ms`, `1.4 s`, `2 min 5 s`."""
    translate = QCoreApplication.translate
    if seconds < 0.0005:
        return translate("Steps", "< 1 ms")
    if seconds < 0.9995:
        return translate("Steps", "{n} ms").format(n=round(seconds * 1000))
    if seconds < 60:
        return translate("Steps", "{n} s").format(n=f"{seconds:.1f}")
    minutes, rest = divmod(round(seconds), 60)
    return translate("Steps", "{m} min {s} s").format(m=minutes, s=rest)
