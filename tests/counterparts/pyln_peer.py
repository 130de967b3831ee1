"""A raw BOLT 8 peer on pyln-proto, as a child process for the tests.

    python pyln_peer.py --log FILE [--key HEX] [--features HEX] [--networks HEX] [--no-init] [--no-pong]

It listens on an ephemeral port of loopback, dials on command, and logs every message that it decrypts: one JSON object
a line in FILE, repeated on stdout. Commands come on stdin, one JSON object a line; an event "reply" answers each.
pyln-proto does the handshake, the encryption and the key rotation; here are sockets, a log and a thread for each
connection.
"""

import argparse
import contextlib
import json
import os
import socket
import struct
import sys
import threading
import time

from pyln.proto.wire import LightningConnection, PrivateKey, PublicKey

INIT, PING, PONG = 16, 18, 19
DIAL_TIMEOUT_S = 10


def parse_options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", required=True)
    parser.add_argument("--key", default="21" * 32, help="private key, hex")
    parser.add_argument("--features", default="2082", help="features of the init message, hex")
    parser.add_argument("--networks", default="", help="content of the networks TLV, hex; empty: no such TLV")
    parser.add_argument("--no-init", action="store_true", help="do not send init by itself")
    parser.add_argument("--no-pong", action="store_true", help="do not answer pings by itself")
    return parser.parse_args()


class Log:
    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.lock = threading.Lock()

    def __call__(self, event, **facts):
        line = json.dumps({"event": event, "time": time.time(), **facts}) + "\n"
        with self.lock:
            os.write(self.file, line.encode())
            sys.stdout.write(line)
            sys.stdout.flush()


class Socket:
    """What pyln-proto needs of a socket, without two traps of it.

    It takes a short read of a header for an error, and it writes a message in two parts, of which the second waits for
    the acknowledgement of the first unless TCP_NODELAY is set.
    """

    def __init__(self, inner):
        self.inner = inner
        inner.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def recv(self, size):
        data = bytearray()
        while len(data) < size:
            part = self.inner.recv(size - len(data))
            if not part:
                break
            data += part
        return bytes(data)

    def send(self, data):
        self.inner.sendall(data)

    def close(self):
        with contextlib.suppress(OSError):  # the other side was first
            self.inner.shutdown(socket.SHUT_RDWR)
        self.inner.close()


class Connection:
    def __init__(self, peer, number, sock, remote_pubkey=None, features=None):
        self.peer = peer
        self.number = number
        self.socket = Socket(sock)
        self.noise = LightningConnection(self.socket, remote_pubkey, peer.key, is_initiator=remote_pubkey is not None)
        self.inbound = remote_pubkey is None
        self.features = features or peer.options.features
        self.messages_in = self.messages_out = 0
        self.closed_by_us = False
        self.handshaken = False

    def log(self, event, **facts):
        self.peer.log(event, connection=self.number, **facts)

    def shake(self):
        """The handshake and our init; raises what pyln-proto raises."""
        self.noise.shake()
        self.handshaken = True
        self.log("handshake", node_id=self.noise.remote_pubkey.serializeCompressed().hex(), inbound=self.inbound)
        if not self.peer.options.no_init:
            self.send(self.peer.init(self.features))

    def send(self, message):
        self.noise.send_message(message)
        self.messages_out += 1

    def run(self):
        """Handshake, then every message until the connection ends."""
        try:
            if not self.handshaken:
                self.shake()
            while True:
                self.take(self.noise.read_message())
        except Exception as error:  # noqa: BLE001 - whatever pyln-proto says is the finding
            self.end(error)

    def take(self, message):
        self.messages_in += 1
        kind = struct.unpack("!H", message[:2])[0] if len(message) >= 2 else -1
        self.log("message", type=kind, payload=message[2:].hex(), count=self.messages_in)
        if kind == PING and len(message) >= 4 and not self.peer.options.no_pong:
            length = struct.unpack("!H", message[2:4])[0]
            if length < 65532:  # BOLT 1: no pong to a longer wish
                self.send(struct.pack("!HH", PONG, length) + bytes(length))

    def end(self, error):
        reason = "closed by command" if self.closed_by_us else f"{type(error).__name__}: {error}"
        if not self.handshaken:
            self.log("handshake failed", reason=reason, inbound=self.inbound)
        self.log("closed", reason=reason, messages_in=self.messages_in, messages_out=self.messages_out)
        self.socket.close()


class Peer:
    def __init__(self, options):
        self.options = options
        self.log = Log(options.log)
        self.key = PrivateKey(bytes.fromhex(options.key))
        self.connections = []
        self.lock = threading.Lock()
        self.server = socket.create_server(("127.0.0.1", 0))

    def init(self, features):
        """BOLT 1 init without global features, with a networks TLV when one is wanted."""
        bits, networks = bytes.fromhex(features), bytes.fromhex(self.options.networks)
        message = struct.pack("!HHH", INIT, 0, len(bits)) + bits
        return message + (bytes([1, len(networks)]) + networks if networks else b"")

    def adopt(self, sock, remote_pubkey=None, features=None):
        with self.lock:
            connection = Connection(self, len(self.connections), sock, remote_pubkey, features)
            self.connections.append(connection)
        return connection

    def accept_forever(self):
        while True:
            try:
                sock, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.adopt(sock).run, daemon=True).start()

    def connection(self, arguments):
        number = arguments.get("connection")
        return self.connections[-1 if number is None else number]

    # -- commands

    def do_connect(self, arguments):
        """Dials and shakes hands; the answer is the number of the connection, or why there is none."""
        sock = socket.create_connection((arguments["host"], arguments["port"]), timeout=DIAL_TIMEOUT_S)
        connection = self.adopt(sock, PublicKey(bytes.fromhex(arguments["node_id"])), arguments.get("features"))
        try:
            connection.shake()
        except Exception as error:
            connection.end(error)
            raise
        sock.settimeout(None)
        threading.Thread(target=connection.run, daemon=True).start()
        return {"connection": connection.number}

    def do_send(self, arguments):
        self.connection(arguments).send(bytes.fromhex(arguments["message"]))
        return {}

    def do_send_many(self, arguments):
        """`count` messages of one type, each with its number as eight bytes."""
        connection = self.connection(arguments)
        for number in range(arguments["count"]):
            connection.send(struct.pack("!HQ", arguments["type"], number))
        return {}

    def do_send_bytes(self, arguments):
        """Bytes as they are onto the socket, past the encryption."""
        self.connection(arguments).socket.send(bytes.fromhex(arguments["bytes"]))
        return {}

    def do_ping(self, arguments):
        length = arguments.get("length", 0)
        self.connection(arguments).send(
            struct.pack("!HHH", PING, arguments.get("num_pong_bytes", 1), length) + bytes(length)
        )
        return {}

    def do_open(self, arguments):
        """Opens a TCP connection and sends the given bytes, without a handshake; its end is logged."""
        sock = socket.create_connection((arguments["host"], arguments["port"]), timeout=DIAL_TIMEOUT_S)
        sock.sendall(bytes.fromhex(arguments.get("bytes", "")))
        sock.settimeout(None)
        threading.Thread(target=self.watch, args=(sock,), daemon=True).start()
        return {}

    def watch(self, sock):
        received = bytearray()
        try:
            while part := sock.recv(4096):
                received += part
            reason = "end of stream"
        except OSError as error:
            reason = type(error).__name__
        sock.close()
        self.log("raw closed", received=received.hex(), reason=reason)

    def do_disconnect(self, arguments):
        connection = self.connection(arguments)
        connection.closed_by_us = True
        connection.socket.close()
        return {}

    def do_stats(self, arguments):
        connection = self.connection(arguments)
        return {"messages_in": connection.messages_in, "messages_out": connection.messages_out}

    def do_quit(self, arguments):
        threading.Thread(target=os._exit, args=(0,), daemon=True).start()
        return {}

    def obey(self, request):
        command, identity = request.pop("command"), request.pop("id")
        try:
            self.log("reply", id=identity, ok=True, result=getattr(self, "do_" + command)(request))
        except Exception as error:  # noqa: BLE001 - the driver tells it to the test
            self.log("reply", id=identity, ok=False, error=f"{type(error).__name__}: {error}")


def main():
    peer = Peer(parse_options())
    threading.Thread(target=peer.accept_forever, daemon=True).start()
    node_id = peer.key.public_key().serializeCompressed().hex()
    peer.log("ready", node_id=node_id, port=peer.server.getsockname()[1])
    for line in sys.stdin:
        # a thread each: a long command must not hold up the next one
        threading.Thread(target=peer.obey, args=(json.loads(line),), daemon=True).start()
    os._exit(0)


if __name__ == "__main__":
    main()
