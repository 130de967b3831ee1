"""What every room stands on: events, errors, clock, settings, logging, paths."""
