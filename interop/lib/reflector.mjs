// Run inside a namespace: `reflector.mjs ADDRESS ADDRESS` tells each sender of a UDP datagram from where it came. A
// datagram that says `other` is answered from the other address.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const PORT = 7000;

const sockets = await Promise.all(
  process.argv.slice(2).map(async (address) => {
    const socket = createSocket('udp4');
    socket.bind(PORT, address);
    await once(socket, 'listening');
    return socket;
  }),
);
sockets.forEach((socket, index) => {
  const other = sockets[(index + 1) % sockets.length];
  socket.on('message', (bytes, { address, port }) => {
    const from = bytes.toString() === 'other' ? other : socket;
    from.send(`${address}:${port}`, port, address);
  });
});
console.log('ready');
