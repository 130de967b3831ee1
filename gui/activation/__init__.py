"""The activation view."""
