"""The network graph and the scorer, as files and in memory."""
