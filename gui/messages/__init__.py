"""The message console."""
