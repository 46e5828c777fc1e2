// Run inside a namespace: `proxy.mjs ADDRESS PORT` is the HTTP proxy of a strict office. It forwards plain HTTP, and refuses
// CONNECT and upgrades, so no WebSocket gets through. Each refusal and each polled request is a line of its output.

import { createServer, request } from 'node:http';

const [address, port] = process.argv.slice(2);

/** Headers that are between the client and this proxy. */
const HOP_BY_HOP = ['connection', 'proxy-connection', 'keep-alive', 'upgrade', 'te', 'transfer-encoding'];

const server = createServer((incoming, outgoing) => {
  if (!URL.canParse(incoming.url)) {
    outgoing.writeHead(400).end();
    return;
  }
  if (incoming.url.includes('transport=polling')) console.log(`polling ${incoming.method}`);
  const headers = Object.fromEntries(
    Object.entries(incoming.headers).filter(([name]) => !HOP_BY_HOP.includes(name)),
  );
  const onward = request(incoming.url, { method: incoming.method, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode, answer.headers);
    answer.pipe(outgoing);
  });
  onward.on('error', () => outgoing.destroy());
  outgoing.on('close', () => onward.destroy());
  incoming.pipe(onward);
});
server.on('connect', (incoming, socket) => {
  console.log(`refused CONNECT ${incoming.url}`);
  socket.on('error', () => {});
  socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n');
});
server.on('upgrade', (incoming, socket) => {
  console.log(`refused upgrade ${incoming.url}`);
  socket.on('error', () => {});
  socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n');
});
server.listen(Number(port), address, () => console.log('ready'));
