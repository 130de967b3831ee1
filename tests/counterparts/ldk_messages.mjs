// Reads BOLT 7 messages with LDK, lets its network graph verify the announcements, and writes them again.
//
//   node ldk_messages.mjs --packages DIR
//
// One message in hex a line on stdin; for each a JSON object a line on stdout: the message as LDK writes it, and whether
// its graph took it (null for what a graph does not take). The chain is regtest.
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({ options: { packages: { type: 'string' } } });
const packageDir = path.join(options.packages, 'node_modules', 'lightningdevkit');
console.log = () => {}; // the bindings greet on stdout
const ldk = await import(pathToFileURL(path.join(packageDir, 'index.mjs')).href);
await ldk.initializeWasmFromBinary(fs.readFileSync(path.join(packageDir, 'liblightningjs.wasm')));

const logger = ldk.Logger.new_impl({ log() {} });
const graph = ldk.NetworkGraph.constructor_new(ldk.Network.LDKNetwork_Regtest, logger);
const kinds = {
  256: [ldk.ChannelAnnouncement, (message) => graph.update_channel_from_announcement_no_lookup(message)],
  257: [ldk.NodeAnnouncement, (message) => graph.update_node_from_announcement(message)],
  258: [ldk.ChannelUpdate, (message) => graph.update_channel(message)],
  259: [ldk.AnnouncementSignatures],
  261: [ldk.QueryShortChannelIds],
  262: [ldk.ReplyShortChannelIdsEnd],
  263: [ldk.QueryChannelRange],
  264: [ldk.ReplyChannelRange],
  265: [ldk.GossipTimestampFilter],
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const bytes = Buffer.from(line, 'hex');
  const [kind, take] = kinds[bytes.readUInt16BE(0)];
  const read = kind.constructor_read(Uint8Array.from(bytes.subarray(2)));
  const answer = { hex: null, taken: null };
  if (read.is_ok()) {
    answer.hex = bytes.subarray(0, 2).toString('hex') + Buffer.from(read.res.write()).toString('hex');
    if (take) answer.taken = take(read.res).is_ok();
  }
  process.stdout.write(JSON.stringify(answer) + '\n');
}
