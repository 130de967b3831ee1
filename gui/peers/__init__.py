"""The peer list."""
