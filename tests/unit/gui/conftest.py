"""The session's QApplication is made before any test's own environment: it needs its platform from the start."""

import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from tests.support.window import _one_theme, node, theme, window

__all__ = ["_one_theme", "node", "theme", "window"]
