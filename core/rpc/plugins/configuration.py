"""What a plugin is told of the node that runs it (CLN plugin.c, plugin_populate_init_request)."""

from __future__ import annotations

from core.base.setting_faults import parse_ip_and_port
from core.rpc.commands.base import Json
from core.rpc.commands.node import init_features
from core.rpc.face import NodeFace


def environment(node: NodeFace) -> dict[str, str]:
    """By these a program knows that it is run as a plugin."""
    return {"LIGHTNINGD_PLUGIN": "1", "LIGHTNINGD_VERSION": node.version}


def configuration(node: NodeFace) -> Json:
    """The member `configuration` of `init`."""
    found: Json = {
        "lightning-dir": str(node.paths.folder),
        "rpc-file": node.paths.socket.name,
        "startup": True,
        "network": node.network.name,
        "feature_set": {"init": init_features(), "node": "", "channel": "", "invoice": ""},
    }
    if node.settings.proxy:
        host, port = parse_ip_and_port(node.settings.proxy)
        found["proxy"] = {"type": "ipv6" if ":" in host else "ipv4", "address": host, "port": port}
        found["torv3-enabled"] = True
        found["always_use_proxy"] = node.settings.always_use_proxy
    return found
