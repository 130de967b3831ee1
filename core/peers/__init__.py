"""Live connections to Lightning peers."""
