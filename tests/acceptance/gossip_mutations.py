"""For each part of the acceptance of the graph, changes to the program that must turn it red."""

from __future__ import annotations

from tests.acceptance.mutations import Mutation

MUTATIONS: dict[str, tuple[Mutation, ...]] = {
    "kills": (
        Mutation(  # a compaction leaves out every other record
            "core/gossip/store_file.py",
            "        self.length += _write_at(self._handle, records, self.length)",
            "        self.length += _write_at(self._handle, records[: len(records) // 2], self.length)",
        ),
        Mutation(  # what is stored waits in memory
            "core/gossip/store_file.py",
            "            _write_at(self._handle, content, self.length)\n",
            "            _write_at(self._handle, content, self.length) if self.length % 3 else None\n",
        ),
    ),
    "damage": (
        Mutation("core/gossip/store_reading.py", "write_over(self._path, changes, walker.end)", "pass"),
        Mutation("core/gossip/store_walk.py", "self.lost_bytes += end - start", "self.lost_bytes += length"),
    ),
    "connect": (
        Mutation(  # the store's nodes are not known
            "core/gossip/kept_graph.py",
            "return node.announced.dialable() if node is not None and node.announced is not None else ()",
            "return ()",
        ),
    ),
    "gossmap": (
        Mutation(  # updates are stored without their time, which streaming readers go by, and checked with it
            "core/gossip/store_format.py",
            "checksum(timestamp, message), timestamp)",
            "checksum(0, message), timestamp)",
        ),
        Mutation(  # nobody is told of the file that takes the place of the one it reads
            "core/gossip/store_file.py",
            "        self.append([(ended(successor.length, successor.identity()), 0)])",
            "        pass",
        ),
    ),
    "import": (
        Mutation("core/gossip/store_import.py", "if not live[number] or", "if"),
        Mutation("core/gossip/importing.py", 'await self._take("nodes", found[NodeAnnouncement])', "pass"),
    ),
    "forged": (
        Mutation(  # a false signature has no consequence
            "core/gossip/ingest.py", "                heard.peer.refuse_gossip(f", "                str(f"
        ),
        Mutation("core/gossip/ingest.py", "if node_id_1 >= node_id_2:", "if False:"),
    ),
    "foreign": (Mutation("core/gossip/serving.py", "if query.chain_hash != self._graph.chain_hash:", "if False:"),),
    "unknown_nodes": (
        Mutation(  # whoever is unknown is verified, and blamed
            "core/gossip/ingest.py",
            "if verdict is Verdict.NEWS or (verdict is Verdict.UNKNOWN and self._announced):",
            "if verdict is not Verdict.KNOWN:",
        ),
    ),
    "made_up": (Mutation("core/gossip/ingest.py", "self._unchecked[peer_id] + count < room", "True"),),
    "queries": (Mutation("core/gossip/serving.py", "await self._answer(self._queries[0])", "self._queries[0]"),),
    "zlib": (
        Mutation("core/bolt/gossip_queries.py", "raise UnknownEncoding(encoded[0])", 'raise Truncated("not plain")'),
    ),
    "replies": (
        Mutation(  # whatever list comes is asked for more
            "core/gossip/service.py",
            "            self._keep_no_list(peer, message)\n            return\n",
            "            return peer.send(QueryChannelRange.TYPE.to_bytes(2, 'big') + bytes(40))\n",
        ),
    ),
}
