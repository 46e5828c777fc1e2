// The stock Socket.IO server in the roles of our examples, `protocol_fixture` and `bench_server`. What the suite asks of our
// server it asks of this one too, so a wrong expectation shows as a failure of the stock server.
//
// `socketio.mjs ROLE [--eio3] [--patient] --listen ADDRESS:PORT`

import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

import { Server } from 'socket.io';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    listen: { type: 'string' },
    eio3: { type: 'boolean', default: false },
    patient: { type: 'boolean', default: false },
  },
});

const fixture = (http) => {
  const io = new Server(http, {
    pingInterval: 300,
    pingTimeout: values.patient ? 60_000 : 200,
    maxHttpBufferSize: 1e6,
    connectTimeout: values.patient ? 60_000 : 1_000,
    cors: { origin: '*' },
    allowEIO3: values.eio3,
  });
  for (const namespace of ['/', '/custom']) {
    io.of(namespace).on('connection', (socket) => {
      socket.emit('auth', socket.handshake.auth);
      socket.on('message', (...args) => socket.emit('message-back', ...args));
      socket.on('message-with-ack', (...args) => args.pop()(...args));
    });
  }
};

const bench = (http) => {
  new Server(http).on('connection', (socket) => {
    socket.on('echo', (data) => socket.emit('echo', data));
    socket.on('ack', (data, answer) => answer(data));
    socket.on('join', (room, answer) => {
      socket.join(room);
      answer();
    });
    socket.on('bcast', (room, data) => socket.nsp.to(room).emit('msg', data));
  });
};

const http = createServer();
({ protocol_fixture: fixture, bench_server: bench })[positionals[0]](http);
const [address, port] = values.listen.split(':');
http.listen(Number(port), address);
