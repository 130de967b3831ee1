// A real LDK 0.1 peer (npm package `lightningdevkit`) as a child process for the tests.
//
//   node ldk_peer.mjs --packages DIR --log FILE [--seed HEX] [--quiet]
//
// DIR holds node_modules. Every event is one JSON object a line, written to FILE (LDK's own record of what it saw) and
// repeated on stdout. Commands come on stdin, one JSON object a line: {"id": n, "command": name, ...arguments}; each is
// answered by an event "reply" with the same id. The process ends with "quit" or when stdin closes. --quiet leaves out
// LDK's log, which has a line for every message.
//
// The socket glue is here and not taken from lightningdevkit-node-net 0.1.0: that one never writes again after the
// first full socket buffer, and it hides why a connection ended.
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import readline from 'node:readline';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: { packages: { type: 'string' }, log: { type: 'string' }, seed: { type: 'string', default: '07'.repeat(32) }, quiet: { type: 'boolean', default: false } },
});
const packageDir = path.join(options.packages, 'node_modules', 'lightningdevkit');
const ldk = await import(pathToFileURL(path.join(packageDir, 'index.mjs')).href);
await ldk.initializeWasmFromBinary(fs.readFileSync(path.join(packageDir, 'liblightningjs.wasm')));

const toHex = (bytes) => Buffer.from(bytes).toString('hex');
const fromHex = (text) => Uint8Array.from(Buffer.from(text, 'hex'));
const logFile = fs.openSync(options.log, 'a');
function report(event, facts = {}) {
  const line = JSON.stringify({ event, time: Date.now() / 1000, ...facts }) + '\n';
  fs.writeSync(logFile, line);
  process.stdout.write(line);
}

// The bindings hold implementations by weak references only, so whatever LDK may call back has to be kept alive here.
const keptAlive = [];
const keep = (object) => { keptAlive.push(object); return object; };

// ---- what LDK says about itself: the only place where it tells of pings, pongs, warnings and handshakes
const logger = keep(ldk.Logger.new_impl({
  log(record) {
    const text = record.get_args();
    const peer = record.get_peer_id();
    const facts = { text, module: record.get_module_path() };
    if (peer.some((byte) => byte !== 0)) facts.node_id = toHex(peer);
    if (facts.text.startsWith('Finished noise handshake')) report('handshake', { node_id: facts.node_id });
    if (!options.quiet) report('log', facts);
  },
}));

// ---- custom messages
const outgoing = [];
let echo = false;
const messagesIn = new Map();

/** The bindings hand a u16 over as a signed number. */
const unsigned16 = (number) => number & 0xffff;

function customType(type, payload) {
  return keep(ldk.Type.new_impl({
    type_id: () => type,
    debug_str: () => `custom message ${type}`,
    write: () => payload,
  }));
}

function queue(nodeId, type, payload) {
  outgoing.push(keep(ldk.TwoTuple_PublicKeyTypeZ.constructor_new(nodeId, customType(type, payload))));
}

const customHandler = keep(ldk.CustomMessageHandler.new_impl({
  handle_custom_message(message, sender) {
    const [type, payload, nodeId] = [unsigned16(message.type_id()), message.write(), toHex(sender)];
    const count = (messagesIn.get(nodeId) ?? 0) + 1;
    messagesIn.set(nodeId, count);
    report('message', { node_id: nodeId, type, payload: toHex(payload), count });
    if (echo) queue(sender, type, payload);
    return keep(ldk.Result_NoneLightningErrorZ.constructor_ok());
  },
  get_and_clear_pending_msg: () => outgoing.splice(0),
  peer_disconnected(nodeId) { report('disconnected', { node_id: toHex(nodeId) }); },
  peer_connected(nodeId, init, inbound) {
    const networks = init.get_networks();
    report('init', {
      node_id: toHex(nodeId),
      inbound: Boolean(inbound),
      features: toHex(init.get_features().write().slice(2)),
      networks: networks instanceof ldk.Option_CVec_ThirtyTwoBytesZZ_Some ? networks.some.map(toHex) : null,
    });
    return keep(ldk.Result_NoneNoneZ.constructor_ok());
  },
  provided_node_features: () => keep(ldk.NodeFeatures.constructor_empty()),
  provided_init_features: () => keep(ldk.InitFeatures.constructor_empty()),
}, {
  read(signedType, buffer) {
    const type = unsigned16(signedType);
    // BOLT 1: custom messages are 32768 and above; even ones are left unknown, so that LDK closes as the rule says.
    const known = type >= 32768 && type % 2 === 1;
    const option = known
      ? ldk.Option_TypeZ.constructor_some(customType(type, Uint8Array.from(buffer)))
      : ldk.Option_TypeZ.constructor_none();
    return keep(ldk.Result_COption_TypeZDecodeErrorZ.constructor_ok(keep(option)));
  },
}));

// ---- the node
const now = Math.floor(Date.now() / 1000);
const keys = keep(ldk.KeysManager.constructor_new(fromHex(options.seed), BigInt(now), 0));
const signer = keep(keys.as_NodeSigner());
const graph = keep(ldk.NetworkGraph.constructor_new(ldk.Network.LDKNetwork_Regtest, logger));
const gossip = keep(ldk.P2PGossipSync.constructor_new(graph, ldk.Option_UtxoLookupZ.constructor_none(), logger));
const peers = keep(ldk.PeerManager.constructor_new(
  keep(ldk.ErroringMessageHandler.constructor_new()).as_ChannelMessageHandler(),
  gossip.as_RoutingMessageHandler(),
  keep(ldk.IgnoringMessageHandler.constructor_new()).as_OnionMessageHandler(),
  customHandler, now, keys.as_EntropySource().get_secure_random_bytes(), logger, signer,
));

// ---- sockets
let descriptorCount = 0n;
const none = () => ldk.Option_SocketAddressZ.constructor_none();

/** What an update says, as CLN's `listchannels` names it; numbers of 64 bits as text. */
function direction(update) {
  const fees = update.get_fees();
  return {
    active: Boolean(update.get_enabled()),
    last_update: update.get_last_update(),
    base_fee_millisatoshi: fees.get_base_msat() >>> 0,
    fee_per_millionth: fees.get_proportional_millionths() >>> 0,
    delay: unsigned16(update.get_cltv_expiry_delta()),
    htlc_minimum_msat: String(update.get_htlc_minimum_msat()),
    htlc_maximum_msat: String(update.get_htlc_maximum_msat()),
  };
}

/** Runs `look` over the graph, which is locked meanwhile. */
function reading(look) {
  const view = graph.read_only();
  try {
    return look(view);
  } finally {
    view.free();
  }
}

function listed(view) {
  const channels = view.list_channels().map((id) => {
    const channel = view.channel(id);
    const ways = [channel.get_one_to_two(), channel.get_two_to_one()];
    return {
      short_channel_id: String(BigInt.asUintN(64, id)),
      ends: [toHex(channel.get_node_one().as_slice()), toHex(channel.get_node_two().as_slice())],
      directions: ways.map((update) => (update === null ? null : direction(update))),
    };
  });
  const nodes = view.list_nodes().map((id) => {
    const info = view.node(id).get_announcement_info();
    const node = { nodeid: toHex(id.as_slice()) };
    if (!(info instanceof ldk.Option_NodeAnnouncementInfoZ_Some)) return node;
    const { some: told } = info;
    const [alias, color] = [toHex(told.alias().get_a()), toHex(told.rgb())];
    return { ...node, last_timestamp: told.last_update(), alias, color };
  });
  return { channels, nodes };
}

/** Wires one socket to LDK; `begin(descriptor)` makes LDK's side of the connection and returns its first bytes. */
function attach(socket, inbound, begin) {
  const index = descriptorCount++;
  const facts = { connection: Number(index), inbound };
  socket.setNoDelay(true);
  let writable = true;
  let closedBy = null;
  const descriptor = keep(ldk.SocketDescriptor.new_impl({
    send_data(data, resumeRead) {
      if (resumeRead) socket.resume();
      if (!writable) return 0;
      writable = socket.write(Buffer.from(data));
      return data.length;
    },
    disconnect_socket() { closedBy ??= 'LDK'; socket.end(() => socket.destroy()); },
    eq: (other) => other.hash() === index,
    hash: () => index,
  }));
  socket.on('drain', () => {
    writable = true;
    if (!peers.write_buffer_space_avail(descriptor).is_ok()) descriptor.disconnect_socket();
  });
  socket.on('data', (data) => {
    const result = peers.read_event(descriptor, data);
    if (!result.is_ok()) descriptor.disconnect_socket();
    else if (result.res) socket.pause();
    peers.process_events();
  });
  socket.on('error', (error) => { closedBy ??= error.code; });
  socket.on('end', () => { closedBy ??= 'peer'; });
  socket.on('close', () => {
    peers.socket_disconnected(descriptor);
    report('socket closed', { ...facts, closed_by: closedBy, bytes_in: socket.bytesRead, bytes_out: socket.bytesWritten });
  });
  report('socket open', facts);
  const started = begin(descriptor);
  if (!started.is_ok()) descriptor.disconnect_socket();
  return { descriptor, started };
}

const server = net.createServer((socket) => attach(socket, true, (d) => peers.new_inbound_connection(d, none())));

function dial(nodeId, host, port) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.removeListener('error', reject);
      const { descriptor, started } = attach(socket, false, (d) => peers.new_outbound_connection(nodeId, d, none()));
      if (started.is_ok()) descriptor.send_data(started.res, true);
      resolve({});
    });
  });
}

// LDK's own timer, as every application of it runs one: pings, and the end of peers that do not answer
const timer = setInterval(() => { peers.timer_tick_occurred(); peers.process_events(); }, 10_000);

const commands = {
  connect: ({ node_id: nodeId, host, port }) => dial(fromHex(nodeId), host, port),
  send({ node_id: nodeId, type, payload }) {
    queue(fromHex(nodeId), type, fromHex(payload));
    peers.process_events();
    return {};
  },
  // `count` messages of one type, each with its number as eight bytes
  send_many({ node_id: nodeId, type, count }) {
    for (let number = 0; number < count; number++) {
      const payload = Buffer.alloc(8);
      payload.writeBigUInt64BE(BigInt(number));
      queue(fromHex(nodeId), type, Uint8Array.from(payload));
    }
    peers.process_events();
    return {};
  },
  echo({ on }) { echo = on; return {}; },
  counts: () => reading((view) => ({ channels: view.list_channels().length, nodes: view.list_nodes().length })),
  // everything it knows of the network, into a file: a line of it would be too long
  graph({ path: file }) { fs.writeFileSync(file, JSON.stringify(reading(listed))); return {}; },
  ping() { peers.timer_tick_occurred(); peers.process_events(); return {}; },
  disconnect({ node_id: nodeId }) { peers.disconnect_by_node_id(fromHex(nodeId)); return {}; },
  peers: () => ({
    peers: peers.list_peers().map((peer) => ({
      node_id: toHex(peer.get_counterparty_node_id()),
      inbound: peer.get_is_inbound_connection(),
      features: toHex(peer.get_init_features().write().slice(2)),
      messages: messagesIn.get(toHex(peer.get_counterparty_node_id())) ?? 0,
    })),
  }),
  quit() { setImmediate(shutDown); return {}; },
};

function shutDown() {
  clearInterval(timer);
  server.close();
  peers.disconnect_all_peers();
  process.stdin.destroy(); // nothing is left to wait for: the process ends when the last socket has closed
}

const input = readline.createInterface({ input: process.stdin });
input.on('line', async (line) => {
  const { id, command, ...args } = JSON.parse(line);
  try {
    report('reply', { id, ok: true, result: await commands[command](args) });
  } catch (error) {
    report('reply', { id, ok: false, error: error?.code ?? String(error) });
  }
});
input.on('close', shutDown);

server.listen(0, '127.0.0.1', () => {
  report('ready', { node_id: toHex(signer.get_node_id(ldk.Recipient.LDKRecipient_Node).res), port: server.address().port });
});
