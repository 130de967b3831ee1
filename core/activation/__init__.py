"""Bringing Lightning up: the task manager and the eight steps."""
