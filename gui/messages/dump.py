"""Bytes as people read them: a dump with offsets, and text."""

from __future__ import annotations

from gui.phrases import tr

BYTES_A_LINE = 16
SHOWN_MAX = 4096
"""Bytes that a view dumps at most; the rest is counted, and copied whole."""


def hex_dump(data: bytes, limit: int = SHOWN_MAX) -> str:
    """`0000  80 01 68 69 …  ..hi`, sixteen bytes a line."""
    lines = [_line(data, offset) for offset in range(0, min(len(data), limit), BYTES_A_LINE)]
    if len(data) > limit:
        lines.append(tr("… {n} more bytes", n=f"{len(data) - limit:,}"))
    return "\n".join(lines)


def _line(data: bytes, offset: int) -> str:
    chunk = data[offset : offset + BYTES_A_LINE]
    digits = f"{chunk[:8].hex(' ')}  {chunk[8:].hex(' ')}".rstrip()
    return f"{offset:04x}  {digits:<48}  {printable(chunk)}"


def printable(chunk: bytes) -> str:
    """ASCII, a dot for what is none."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in chunk)


def as_text(data: bytes, limit: int = SHOWN_MAX) -> str | None:
    """UTF-8 with line breaks kept and other control characters replaced; None when it is no UTF-8."""
    try:
        text = data[:limit].decode("utf-8") if len(data) <= limit else data[:limit].decode("utf-8", "ignore")
        if len(data) > limit:
            data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    clean = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return clean + (tr("\n… {n} more bytes", n=f"{len(data) - limit:,}") if len(data) > limit else "")
