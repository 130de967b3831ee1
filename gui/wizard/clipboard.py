"""A secret on the clipboard, for half a minute at most."""

from __future__ import annotations

import hashlib
import hmac

from PySide6.QtCore import QMimeData, QObject, QTimer, Signal
from PySide6.QtGui import QGuiApplication

CLEARED_AFTER_MS = 30_000
_HINTS = {"x-kde-passwordManagerHint": b"secret", "ExcludeClipboardContentFromMonitorProcessing": b"1"}
"""What asks clipboard managers of KDE and of Windows to keep no history of it."""


class ClipboardGuard(QObject):
    """Puts a secret there and takes it away again, unless somebody has put something else there meanwhile."""

    cleared = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._digest = b""
        self._timer = QTimer(self, singleShot=True, interval=CLEARED_AFTER_MS)
        self._timer.timeout.connect(self.clear)

    def put(self, text: str) -> None:
        """Only a digest of it is remembered here."""
        data = QMimeData()
        data.setText(text)
        for kind, value in _HINTS.items():
            data.setData(kind, value)
        QGuiApplication.clipboard().setMimeData(data)
        self._digest = _digest(text)
        self._timer.start()

    def clear(self) -> None:
        """Now, if it still holds ours."""
        self._timer.stop()
        clipboard = QGuiApplication.clipboard()
        if self._digest and hmac.compare_digest(_digest(clipboard.text()), self._digest):
            clipboard.clear()
        self._digest = b""
        self.cleared.emit()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
