"""pyln-client's LightningRpc on one unix socket, as a child process for the tests.

    python pyln_rpc.py --log FILE SOCKET

Commands come on stdin, one JSON object a line: "call" (method and params of the Python method, so that pyln-client
makes the request as it does for everybody), "raw" (a request object as it is), "subscribe" (enable notifications on a
connection that stays open; each one becomes an event "notification"). Each is answered by an event "reply"; all events
go to FILE and to stdout.
"""

import argparse
import json
import os
import sys
import threading
import time

from pyln.client import LightningRpc, RpcError
from pyln.client.lightning import UnixSocket


class Client:
    def __init__(self, path, log_path):
        self.path = path
        self.rpc = LightningRpc(path)
        self.file = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.lock = threading.Lock()

    def log(self, event, **facts):
        line = json.dumps({"event": event, "time": time.time(), **facts}, ensure_ascii=False) + "\n"
        with self.lock:
            os.write(self.file, line.encode())
            sys.stdout.write(line)
            sys.stdout.flush()

    def do_call(self, method, params, notify=False):
        """What the Python method returned, or the error object of its RpcError; `notify`: inside `rpc.notify()`."""

        def call():
            return {"result": getattr(self.rpc, method)(**params)}

        try:
            if not notify:
                return call()
            with self.rpc.notify(lambda **facts: self.log("message", message=facts["message"])):
                return call()
        except RpcError as error:
            return {"error": error.error}

    def do_raw(self, request):
        """The reply object to `request`, written and read by pyln-client's own framing."""
        sock = UnixSocket(self.path)
        self.rpc._writeobj(sock, request)
        reply, _ = self.rpc._readobj(sock)
        sock.close()
        return reply

    def do_subscribe(self):
        sock = UnixSocket(self.path)
        request = {"jsonrpc": "2.0", "id": "subscribe", "method": "notifications", "params": {"enable": True}}
        self.rpc._writeobj(sock, request)
        reply, rest = self.rpc._readobj(sock)
        threading.Thread(target=self.listen, args=(sock, rest), daemon=True).start()
        return reply

    def listen(self, sock, rest):
        while True:
            notification, rest = self.rpc._readobj(sock, rest)
            if "method" not in notification:
                self.log("subscription ended", reason=str(notification))
                return
            self.log("notification", method=notification["method"], params=notification["params"])

    def obey(self, request):
        command, identity = request.pop("command"), request.pop("id")
        try:
            self.log("reply", id=identity, ok=True, result=getattr(self, "do_" + command)(**request))
        except Exception as error:  # noqa: BLE001 - the driver tells it to the test
            self.log("reply", id=identity, ok=False, error=f"{type(error).__name__}: {error}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", required=True)
    parser.add_argument("socket")
    options = parser.parse_args()
    client = Client(options.socket, options.log)
    client.log("ready")
    for line in sys.stdin:
        threading.Thread(target=client.obey, args=(json.loads(line),), daemon=True).start()


if __name__ == "__main__":
    main()
