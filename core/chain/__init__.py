"""The platform coin: one interface, one file a backend."""
