"""Channel records and their states."""
