"""Leyden's node, without a window: protocol, peers, activation and RPC. Nothing below here imports Qt."""

__version__ = "0.1.0"
