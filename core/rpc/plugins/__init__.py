"""Core Lightning plugins: programs that this node runs, asks and tells over their stdin and stdout."""
