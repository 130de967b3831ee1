"""Hypothesis on a machine that is busy: how long an example takes, or making one, is nothing that a test fails by."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
