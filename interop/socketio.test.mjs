// Stock socket.io-client against our Socket.IO server, and against its own: both have to pass.

import { describe } from 'node:test';
import { fileURLToPath } from 'node:url';

import { example, startJackfield, startListener } from './lib/server.mjs';
import { signalContract } from './lib/signal_contract.mjs';
import { fixtureContract, roomsContract } from './lib/socketio_contract.mjs';
import { oldClientContract } from './lib/socketio_old_contract.mjs';

const STOCK = fileURLToPath(new URL('stock/socketio.mjs', import.meta.url));

const ours = (role) => (args = []) => startListener(example(role), args);
const stock = (role) => (args = []) => startListener(process.execPath, [STOCK, role, ...args]);

/** The profile's times are soon over on a busy machine, where the client shares a core with what builds beside it. */
const PATIENT = ['--patient'];

for (const [whose, start] of Object.entries({ 'the stock server': stock, 'our server': ours })) {
  describe(`socket.io-client 4 against ${whose}`, () => {
    fixtureContract(() => start('protocol_fixture')(PATIENT));
    roomsContract(start('bench_server'));
  });
  describe(`socket.io-client 2 against ${whose}`, () => {
    oldClientContract((flags) => start('protocol_fixture')([...flags, ...PATIENT]));
  });
}

describe('socket.io-client 4 against jackfield serve', () => {
  signalContract(startJackfield);
});
