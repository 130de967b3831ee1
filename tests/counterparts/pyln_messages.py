"""Reads BOLT 7 messages with pyln-proto's codec and the tables of pyln-bolt7, and writes them again.

One message in hex a line on stdin; for each a JSON object a line on stdout: name, fields, and the message as it is
written from these fields alone.
"""

import io
import json
import sys

from pyln.proto.message import Message, MessageNamespace
from pyln.spec import bolt7


def main():
    namespace = MessageNamespace(bolt7.csv)
    for line in sys.stdin:
        message = Message.read(namespace, io.BytesIO(bytes.fromhex(line)))
        out = io.BytesIO()
        Message(message.messagetype, **message.fields).write(out)
        print(json.dumps({"name": message.messagetype.name, "fields": message.to_py(), "hex": out.getvalue().hex()}))


if __name__ == "__main__":
    main()
