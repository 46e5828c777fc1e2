// libdatachannel (by node-datachannel) as a peer that takes orders as lines of JSON, like `examples/peer_stdio.rs`. It asks
// TURN servers by UDP alone.

import { createInterface } from 'node:readline';

import nodeDataChannel from 'node-datachannel';

const [address] = process.argv.slice(2);
const connection = new nodeDataChannel.PeerConnection('peer', { iceServers: servers(), bindAddress: address, maxMessageSize: 1 << 20 });
const gathered = new Promise((resolve) => {
  connection.onGatheringStateChange((state) => state === 'complete' && resolve());
});
let ours;
let opened;
let ended;
const closed = new Promise((resolve) => {
  connection.onDataChannel((channel) => {
    channel.onMessage((message) => send(channel, message));
    channel.onClosed(resolve);
  });
});

/** The servers of `ICE_SERVERS`, as this library writes them. */
function servers() {
  return JSON.parse(process.env.ICE_SERVERS ?? '[]').flatMap(({ urls, username, credential }) =>
    urls.map((url) => (username ? url.replace(':', `:${username}:${credential}@`) : url)));
}

function send(channel, message) {
  return typeof message === 'string' ? channel.sendMessage(message) : channel.sendMessageBinary(message);
}

function open() {
  ours = connection.createDataChannel('ours');
  opened = new Promise((resolve) => ours.onOpen(resolve));
  ended = new Promise((resolve) => ours.onClosed(resolve));
}

const orders = {
  async offer() {
    open();
    await gathered;
    return connection.localDescription().sdp;
  },
  async answer({ sdp }) {
    connection.setRemoteDescription(sdp, 'offer');
    open();
    await gathered;
    return connection.localDescription().sdp;
  },
  accept: async ({ sdp }) => connection.setRemoteDescription(sdp, 'answer'),
  async exchange({ sizes }) {
    await opened;
    for (const size of sizes) {
      for (const message of ['ä'.repeat(size / 2), Buffer.from(Uint8Array.from({ length: size }, (_, index) => index % 251))]) {
        const echo = new Promise((resolve) => ours.onMessage(resolve));
        send(ours, message);
        const answer = await echo;
        const same = typeof message === 'string' ? answer === message : Buffer.from(answer).equals(message);
        if (!same) throw new Error(`a message of ${size} bytes came back as another`);
      }
    }
  },
  async close() {
    ours.close();
    await ended;
  },
  closed: () => closed,
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, name, params } = JSON.parse(line);
  carryOut(name, params).then(
    (result) => answer({ id, result: result ?? null }),
    (error) => answer({ id, error: String(error.stack ?? error) }),
  );
}
connection.close();
nodeDataChannel.cleanup();

async function carryOut(name, params) {
  return orders[name](params);
}

function answer(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
