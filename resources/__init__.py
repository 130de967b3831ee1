"""Icons and other data files, read through importlib.resources alone."""
