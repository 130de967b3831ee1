"""Commands, once and typed, and the unix-socket surface over them."""
