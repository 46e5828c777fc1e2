// Malformed, truncated, oversized and absurd input for every entry of the server.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';

import { WebSocket } from 'ws';

import { LOOPBACK } from './server.mjs';
import { within } from './wait.mjs';

/** A word that is in everything sent, as a name, a path, a header or a body: it must not turn up in a log. */
export const CANARY = 'canary3f9a';

/** The magic cookie of STUN. */
const COOKIE = 0x2112a442;

/** How long the server may take to close a connection that it has had enough of, in milliseconds. */
const GIVEN_UP = 90_000;

/** Sends datagrams that are no STUN, nearly STUN, and STUN that makes no sense. */
export async function datagrams(port) {
  const socket = createSocket('udp4');
  socket.bind(0, LOOPBACK);
  await once(socket, 'listening');
  const random = generator(1);
  const all = [
    Buffer.alloc(0),
    Buffer.from(CANARY),
    Buffer.alloc(60_000, 0x41),
    stun(0x0001, Buffer.alloc(0)).subarray(0, 19),
    stun(0x0001, Buffer.alloc(0), { length: 65_532 }),
    stun(0x0001, Buffer.alloc(0), { length: 3 }),
    stun(0x0003, Buffer.from([0x00, 0x06, 0xff, 0xff, 1, 2, 3, 4])),
    stun(0x0003, attribute(0x0006, Buffer.alloc(800, CANARY))),
    stun(0x0003, attribute(0x7fff, Buffer.from(CANARY))),
    stun(0x0009, attribute(0x0012, Buffer.from([0, 9, 0, 0, 1]))),
    stun(0x0016, attribute(0x0013, Buffer.from(CANARY))),
    stun(0x3eef, Buffer.alloc(0)),
    stun(0x0111, Buffer.alloc(0)),
    Buffer.from([0x40, 0x00, 0xff, 0xff, 1]),
    Buffer.from([0x7f, 0xff, 0x00, 0x04, 1, 2, 3, 4]),
    ...Array.from({ length: 2_000 }, () => random.bytes(random.below(200))),
  ];
  for (const bytes of all) {
    await new Promise((resolve, reject) => {
      socket.send(bytes, port, LOOPBACK, (error) => (error ? reject(error) : resolve()));
    });
  }
  socket.close();
}

/** Opens TCP connections that begin with nonsense, or stop in the middle of sense; waits for the server to hang up. */
export async function streams(port) {
  const random = generator(2);
  const all = [
    Buffer.from([0]),
    Buffer.from(`${CANARY}\r\n\r\n`),
    Buffer.from([0x16, 0x03, 0x01, 0xff, 0xff, 0x01]),
    stun(0x0001, Buffer.alloc(0)).subarray(0, 10),
    stun(0x0003, Buffer.alloc(100), { length: 65_532 }),
    Buffer.concat([stun(0x0001, Buffer.alloc(0)), random.bytes(1_000)]),
    Buffer.from([0x40, 0x00, 0xff, 0xff]),
    ...Array.from({ length: 50 }, () => random.bytes(1 + random.below(3_000))),
  ];
  await Promise.all(all.map((bytes) => converse(port, bytes)));
}

/** Sends HTTP that no client sends. */
export async function requests(port) {
  const get = (path, headers = '') => `GET ${path} HTTP/1.1\r\nhost: ${CANARY}\r\n${headers}\r\n`;
  const post = (headers, body) => `POST /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nhost: x\r\n${headers}\r\n${body}`;
  const all = [
    'GET\r\n\r\n',
    `GET / HTTP/9.9\r\n\r\n`,
    'GET / HTTP/1.1\r\n\r\n',
    `GET /${CANARY} HTTP/1.1\r\nhost: x\r\nno colon here\r\n\r\n`,
    get(`/${'a/../'.repeat(2_000)}etc/passwd`),
    get(`/%00%ff%${CANARY}`),
    get(`/assets/../../${CANARY}`),
    get('/', `${'x'.repeat(200_000)}: y\r\n`),
    get('/', Array.from({ length: 1_000 }, (_, n) => `x-${n}: ${CANARY}\r\n`).join('')),
    post('content-length: -1\r\n', ''),
    post('content-length: 99999999999999999999\r\n', 'x'),
    post('content-length: 5\r\ntransfer-encoding: chunked\r\n', '0\r\n\r\n'),
    post('transfer-encoding: chunked\r\n', 'ffffffffffffffff1\r\nx'),
    post('transfer-encoding: chunked\r\n', `zz\r\n${CANARY}`),
    get('/signal', 'upgrade: websocket\r\nconnection: upgrade\r\n'),
    get('/signal', 'upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-key: short\r\nsec-websocket-version: 13\r\n'),
    get('/signal', 'upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-version: 7\r\n'),
    get(`/r/${'%f0%9f%92%a9'.repeat(3_000)}`),
  ];
  await Promise.all(all.map((text) => converse(port, Buffer.from(text, 'latin1'))));
}

/** Upgrades to WebSocket and sends frames that break the protocol; waits for the server to close. */
export async function frames(port) {
  const masked = (first, length, rest = Buffer.alloc(0)) => Buffer.concat([Buffer.from([first, 0x80 | length]), rest]);
  const all = [
    Buffer.from([0x81, 0x01, 0x41]),
    masked(0xf1, 0, Buffer.alloc(4)),
    masked(0x83, 0, Buffer.alloc(4)),
    masked(0x09, 0, Buffer.alloc(4)),
    masked(0x89, 126, Buffer.from([1, 0, 0, 0, 0, 0])),
    masked(0x81, 127, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])),
    masked(0x81, 127, Buffer.from([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])),
    masked(0x81, 2, Buffer.from([0, 0, 0, 0, 0xc3, 0x28])),
    masked(0x80, 1, Buffer.from([0, 0, 0, 0, 0x41])),
    masked(0x88, 1, Buffer.from([0, 0, 0, 0, 0x41])),
    masked(0x88, 2, Buffer.from([0, 0, 0, 0, 0x00, 0x01])),
  ];
  const handshake =
    'GET /signal HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n' +
    'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-version: 13\r\n\r\n';
  const begun = all.map((frame) => converse(port, Buffer.concat([Buffer.from(handshake), frame])));
  for (const answer of await Promise.all(begun)) {
    if (!answer.startsWith('HTTP/1.1 101')) throw new Error(`no upgrade: ${answer.slice(0, 200)}`);
  }
}

/** Asks the Engine.IO endpoint for what it does not have. Each answer is an error of the client, told in the status. */
export async function polls(url) {
  const at = (query, options) => fetch(`${url}/socket.io/?${query}`, { ...options, headers: { connection: 'close' } });
  const open = async () => {
    const answer = await (await at('EIO=4&transport=polling')).text();
    return JSON.parse(answer.slice(1)).sid;
  };
  const says = async (body) => at(`EIO=4&transport=polling&sid=${await open()}`, { method: 'POST', body });
  const refused = await Promise.all([
    at('EIO=9&transport=polling'),
    at('transport=polling'),
    at(`EIO=4&transport=${CANARY}`),
    at(`EIO=4&transport=polling&sid=${CANARY}`),
    at('EIO=4&transport=polling', { method: 'POST', body: '40' }),
    at('EIO=4&transport=polling', { method: 'DELETE' }),
    says(`9${CANARY}`),
    says('b!!!not base64!!!'),
    // The server hangs up on a body that is too long, which this client may notice before the answer.
    says('4'.repeat(2_000_000)).catch(() => ({ status: 413 })),
    says(Buffer.from([0x34, 0xff, 0xfe])),
  ]);
  for (const { status, url: asked } of refused) {
    if (status < 400 || status > 499) throw new Error(`${asked} was answered with ${status}`);
  }
}

/** Sends Socket.IO packets that are no packets, and waits until the server has closed each connection. */
export async function packets(url) {
  const all = [
    '4',
    '49',
    `42${CANARY}`,
    '42[',
    '42{}',
    '42[]',
    '45-["x"]',
    '4599999999999-["x"]',
    '451-["x",{"_placeholder":true,"num":7}]',
    `42[${'['.repeat(50_000)}`,
    '4299999999999999999999["x"]',
    '43',
    `42["${CANARY}`,
    '40/admin,{',
  ];
  await Promise.all(
    all.map(async (packet) => {
      const socket = new WebSocket(`${url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
      const closed = new Promise((resolve) => socket.on('close', resolve));
      socket.on('error', () => {});
      socket.on('open', () => {
        socket.send('40');
        socket.send(packet);
      });
      await within(closed, `the server to close after ${packet.slice(0, 40)}`, GIVEN_UP);
    }),
  );
}

/** Sends signaling messages that make no sense; each is answered with an error, or ends the connection. */
export async function messages(url) {
  const all = [
    '',
    '{',
    'null',
    '[1]',
    '7',
    `"${CANARY}"`,
    '{"type":7}',
    `{"type":"${CANARY}"}`,
    '{"type":"join"}',
    '{"type":"join","room":""}',
    '{"type":"join","room":{}}',
    `{"type":"join","room":"${'r'.repeat(10_000)}"}`,
    `{"type":"join","room":"${CANARY}","name":"${'n'.repeat(10_000)}"}`,
    `{"type":"message","text":"${'t'.repeat(1_000_000)}"}`,
    `{"type":"video-offer","sdp":${'['.repeat(5_000)}${']'.repeat(5_000)}}`,
    Buffer.from([0xff, 0x00]),
  ];
  await Promise.all(
    all.map(async (message) => {
      const socket = new WebSocket(`${url.replace('http', 'ws')}/signal`);
      const answer = new Promise((resolve) => {
        socket.on('message', (text) => JSON.parse(text).type === 'error' && resolve());
        socket.on('close', resolve);
      });
      socket.on('error', () => {});
      socket.on('open', () => socket.send(message));
      await within(answer, `an error for ${String(message).slice(0, 60)}`);
      socket.terminate();
    }),
  );
}

/** Sends bytes over a connection of their own, and resolves with all that came back once the server has closed it. */
async function converse(port, bytes) {
  const socket = connect(port, LOOPBACK);
  let answer = '';
  socket.setEncoding('latin1');
  socket.on('data', (text) => {
    answer += text;
  });
  // A reset is a way to close as well.
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.on('close', resolve));
  socket.write(bytes);
  try {
    await within(closed, `the server to hang up after ${bytes.subarray(0, 60).toString('latin1')}`, GIVEN_UP);
  } finally {
    socket.destroy();
  }
  return answer;
}

function stun(type, attributes, { length = attributes.length } = {}) {
  const header = Buffer.alloc(20, 7);
  header.writeUInt16BE(type, 0);
  header.writeUInt16BE(length, 2);
  header.writeUInt32BE(COOKIE, 4);
  return Buffer.concat([header, attributes]);
}

function attribute(type, value) {
  const header = Buffer.alloc(4);
  header.writeUInt16BE(type, 0);
  header.writeUInt16BE(value.length, 2);
  return Buffer.concat([header, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
}

/** The same bytes on every run. */
function generator(seed) {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 8;
  };
  return {
    below: (limit) => next() % limit,
    bytes: (length) => Buffer.from(Array.from({ length }, () => next() & 0xff)),
  };
}
