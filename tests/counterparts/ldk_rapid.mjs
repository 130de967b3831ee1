// Reads rapid gossip sync snapshots with LDK's own code (npm package `lightningdevkit`) and lists the graph they make.
//
//   node ldk_rapid.mjs --packages DIR --now SECONDS --out FILE SNAPSHOT...
//
// DIR holds node_modules. FILE becomes one JSON object: what LDK said to each snapshot, in their order, and then all
// channels and nodes of a regtest graph that took them in.
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const { values: options, positionals: files } = parseArgs({
  options: { packages: { type: 'string' }, now: { type: 'string' }, out: { type: 'string' } }, allowPositionals: true,
});
const packageDir = path.join(options.packages, 'node_modules', 'lightningdevkit');
const ldk = await import(pathToFileURL(path.join(packageDir, 'index.mjs')).href);
await ldk.initializeWasmFromBinary(fs.readFileSync(path.join(packageDir, 'liblightningjs.wasm')));

const toHex = (bytes) => Buffer.from(bytes).toString('hex');
/** Without the length that LDK writes before them. */
const features = (value) => toHex(value.write().slice(2));
/** The bindings hand numbers over as signed ones. */
const unsigned = (number, bits) => (typeof number === 'bigint' ? BigInt.asUintN(bits, number) : number >>> 0 & (bits === 16 ? 0xffff : 0xffffffff));

const logger = ldk.Logger.new_impl({ log() {} });
const graph = ldk.NetworkGraph.constructor_new(ldk.Network.LDKNetwork_Regtest, logger);
const rapid = ldk.RapidGossipSync.constructor_new(graph, logger);
const now = ldk.Option_u64Z.constructor_some(BigInt(options.now));

const started = performance.now();
const results = files.map((file) => {
  const result = rapid.update_network_graph_no_std(Uint8Array.from(fs.readFileSync(file)), now);
  return result.is_ok() ? { latest_seen: result.res >>> 0 } : { refused: result.err.constructor.name };
});
const seconds = (performance.now() - started) / 1000;

function policy(info) {
  if (info === null || info.ptr === 0n || info.ptr === 0) return null;
  return {
    timestamp: unsigned(info.get_last_update(), 32),
    enabled: Boolean(info.get_enabled()),
    cltv_expiry_delta: unsigned(info.get_cltv_expiry_delta(), 16),
    htlc_minimum_msat: String(unsigned(info.get_htlc_minimum_msat(), 64)),
    htlc_maximum_msat: String(unsigned(info.get_htlc_maximum_msat(), 64)),
    fee_base_msat: unsigned(info.get_fees().get_base_msat(), 32),
    fee_proportional_millionths: unsigned(info.get_fees().get_proportional_millionths(), 32),
  };
}

const locked = graph.read_only();
const channels = Array.from(locked.list_channels(), (scid) => {
  const channel = locked.channel(scid);
  return {
    scid: String(unsigned(scid, 64)),
    node_1: toHex(channel.get_node_one().as_array()),
    node_2: toHex(channel.get_node_two().as_array()),
    features: features(channel.get_features()),
    policies: [policy(channel.get_one_to_two()), policy(channel.get_two_to_one())],
  };
});
const nodes = locked.list_nodes().map((id) => {
  const told = locked.node(id).get_announcement_info();
  const info = told instanceof ldk.Option_NodeAnnouncementInfoZ_Some ? told.some : null;
  return {
    id: toHex(id.as_array()),
    announced: info === null ? null : {
      timestamp: unsigned(info.last_update(), 32),
      features: features(info.features()),
      addresses: info.addresses().map((address) => toHex(address.write())),
    },
  };
});
locked.free();
fs.writeFileSync(options.out, JSON.stringify({ results, seconds, channels, nodes }));
