"""The node's secret: kinds, derivation and the stores that keep it."""
