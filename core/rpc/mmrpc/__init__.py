"""Komodo DeFi Framework's mmrpc over HTTP on loopback."""
