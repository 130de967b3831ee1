// A regtest full node (npm package `bcoin` 1.0.2) as a child process for the tests, its chain in memory.
//
//   node regtest_node.js DIR RPC_PORT P2P_PORT
//
// DIR holds node_modules; the RPC's password comes in the environment, BCOIN_PASSWORD. Commands come on stdin, one JSON
// object a line: {"id": n, "command": name, ...arguments}; each is answered on stdout by an event "reply" with the same
// id. The process ends when stdin closes. Everything else is asked over the node's own RPC.
'use strict';

process.env.NODE_BACKEND = 'js'; // the add-ons of its cryptography are not built
const path = require('path');
const readline = require('readline');

const [packages, rpcPort, p2pPort] = process.argv.slice(2);
const bcoin = require(path.join(packages, 'node_modules', 'bcoin'));

const report = (event, facts = {}) => process.stdout.write(JSON.stringify({ event, ...facts }) + '\n');

// bcoin 1.x has a prefix of its own for regtest, which nobody else took up.
bcoin.protocol.networks.regtest.addressPrefix.bech32 = 'bcrt';

const node = new bcoin.FullNode({
  network: 'regtest',
  memory: true,
  workers: false,
  config: false,
  logLevel: 'none',
  indexTx: true,
  indexAddress: true,
  listen: true,
  host: '127.0.0.1',
  port: Number(p2pPort),
  // It takes no fewer; the one address that it may dial answers nobody.
  maxOutbound: 1,
  only: ['127.0.0.1:1'],
  httpHost: '127.0.0.1',
  httpPort: Number(rpcPort),
  apiKey: process.env.BCOIN_PASSWORD,
});

// ---- answers as Bitcoin Core of today gives them, where bcoin's of 2018 differ and a client looks
let satPerKvb = null; // what "fee" set; a fresh regtest node has no estimate

/** Replaces an RPC answer by one that is made of the original's. */
function adapt(name, change) {
  const original = node.rpc.calls[name];
  node.rpc.calls[name] = async (args, help) =>
    change(original ? await original.call(node.rpc, args, help) : null, args);
}
adapt('getnetworkinfo', (info) => ({ ...info, version: 310000 }));
adapt('getmempoolinfo', (info) => ({ ...info, minrelaytxfee: 0.00001, incrementalrelayfee: 0.00001 }));
node.rpc.calls.getindexinfo = async () => {
  const index = { synced: true, best_block_height: node.chain.height };
  return { txindex: index, txospenderindex: index };
};
// The original relays whatever it is given and says nothing of what was wrong with it.
node.rpc.calls.sendrawtransaction = async ([raw]) => {
  const tx = bcoin.primitives.TX.fromRaw(raw, 'hex');
  const missing = await node.mempool.addTX(tx);
  if (missing) throw new Error('bad-txns-inputs-missingorspent');
  return tx.txid();
};
// The original throws above 15 blocks.
node.rpc.calls.estimatesmartfee = async ([blocks]) =>
  satPerKvb === null
    ? { errors: ['Insufficient data or no feerate found'], blocks }
    : { feerate: satPerKvb / 1e8, blocks };

const commands = {
  /** Fee estimates from now on; null: none. */
  fee({ sat_per_kvb: rate }) {
    satPerKvb = rate;
    return null;
  },
};

function answer(line) {
  const { id, command, ...args } = JSON.parse(line);
  try {
    report('reply', { id, ok: true, result: commands[command](args) });
  } catch (error) {
    report('reply', { id, ok: false, error: String(error) });
  }
}

(async () => {
  await node.open();
  await node.connect();
  readline.createInterface({ input: process.stdin }).on('line', answer).on('close', () => process.exit(0));
  report('ready', { rpc_port: Number(rpcPort), p2p_port: Number(p2pPort) });
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
