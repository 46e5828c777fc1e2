// Run inside a namespace: `nat_probe.mjs ADDRESS ADDRESS` asks two reflectors how the NAT on the way maps and filters,
// and prints that as JSON.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const PORT = 7000;
const [first, second] = process.argv.slice(2);

const socket = createSocket('udp4');
socket.bind(0);
await once(socket, 'listening');

const mappings = [await ask(first, 'same'), await ask(second, 'same')];
const fresh = createSocket('udp4');
fresh.bind(0);
await once(fresh, 'listening');
const strangerComesIn = await asksOtherFirst(fresh);
console.log(JSON.stringify({ port: socket.address().port, mappings, strangerComesIn }));
socket.close();
fresh.close();

async function ask(address, text) {
  socket.send(text, PORT, address);
  const [bytes] = await once(socket, 'message');
  return bytes.toString();
}

// The answer from the other address, if it comes, comes before the one asked for after it: both take the same way.
async function asksOtherFirst(asking) {
  asking.send('other', PORT, first);
  asking.send('same', PORT, first);
  const [, { address }] = await once(asking, 'message');
  return address === second;
}
