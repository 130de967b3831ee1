"""Small plugin programs for tests: executable files made on the spot."""

from __future__ import annotations

import sys
from pathlib import Path


def plugin_file(folder: Path, name: str, source: str, python: Path | str = sys.executable) -> Path:
    """An executable that runs `source` in `python`; the path of that may be longer than a shebang takes."""
    script = folder / f"{name}.py"
    script.write_text(source)
    runner = folder / name
    runner.write_text(f'#!/bin/sh\nexec "{python}" -P "{script}"\n')
    runner.chmod(0o700)
    return runner


RAW = '''
import json, os, signal, sys, time

def requests():
    """What the node says, one message after the other."""
    buffer = ""
    while True:
        data = os.read(0, 65536).decode()
        if not data:
            return
        buffer += data
        *whole, buffer = buffer.split("\\n\\n")
        yield from map(json.loads, whole)

def say(**message):
    data = (json.dumps({"jsonrpc": "2.0", **message}) + "\\n\\n").encode()
    while data:
        data = data[os.write(1, data):]

def answer(request, result):
    say(id=request["id"], result=result)

manifest = {"options": [], "rpcmethods": [], "subscriptions": [], "hooks": []}
'''
"""A plugin without any library, for what pyln-client would never do; begin with this."""
